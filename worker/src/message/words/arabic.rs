//! Arabic.

use super::{NoticeWords, Unit, VerificationWords, Words};

pub(super) const WORDS: Words = Words {
    hello: "مرحبًا {{full_name}}،",
    verification: VerificationWords {
        subject: "أكّد عنوان بريدك الإلكتروني",
        intro: "شكرًا لتسجيلك. يرجى فتح هذه الصفحة وتأكيد أن عنوان البريد الإلكتروني هذا لك:",
        button: "تأكيد عنوان بريدي الإلكتروني",
        digits: "للتأكيد من جهاز آخر، افتح عليه الصفحة أدناه وأدخل اسم المستخدم {{username}} وهذا الرمز:",
        expiry: "يبقى الرابط والرمز صالحين لمدة {{expires_in}}. اسم المستخدم الخاص بك هو {{username}}.",
        way_out: "إذا لم تكن قد سجلت، فلا حاجة إلى فعل أي شيء: لن يُستخدم هذا العنوان دون تأكيد.",
    },
    notice: NoticeWords {
        subject: "لديك حساب بالفعل",
        somebody: "سجّل شخص ما بعنوان البريد الإلكتروني هذا، وله حساب بالفعل. اسم المستخدم هو {{username}}.",
        you: "إذا كنت أنت، فاستخدم ذلك الحساب: سجّل الدخول باسم المستخدم المذكور أعلاه. \
              لم يُنشأ حساب ثانٍ لهذا العنوان.",
        others: "إذا كان شخصًا آخر، فلا حاجة إلى فعل أي شيء. لم يُخبَر بأن للعنوان حسابًا، ولا يمكنه استخدامه.",
        seldom: "مهما تكرر ذلك، فلن نكتب إليك بشأنه أكثر من مرة في اليوم.",
    },
    counted,
};

/// After "for the time of": one and two are words of their own, three to ten of a hundred take the plural, all others
/// the singular (CLDR's classes of Arabic numbers).
fn counted(count: u64, unit: Unit) -> String {
    let [one, two, few, many] = match unit {
        Unit::Hour => ["ساعة واحدة", "ساعتين", "ساعات", "ساعة"],
        Unit::Minute => ["دقيقة واحدة", "دقيقتين", "دقائق", "دقيقة"],
        Unit::Second => ["ثانية واحدة", "ثانيتين", "ثوانٍ", "ثانية"],
    };
    match (count, count % 100) {
        (1, _) => one.to_owned(),
        (2, _) => two.to_owned(),
        (_, 3..=10) => format!("{count} {few}"),
        _ => format!("{count} {many}"),
    }
}
