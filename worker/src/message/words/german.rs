//! German.

use super::{NoticeWords, Unit, VerificationWords, Words, one_or_many};

pub(super) const WORDS: Words = Words {
    hello: "Guten Tag {{full_name}},",
    verification: VerificationWords {
        subject: "Bestätigen Sie Ihre E-Mail-Adresse",
        intro: "vielen Dank für Ihre Anmeldung. Bitte öffnen Sie diese Seite und bestätigen Sie, dass diese \
                E-Mail-Adresse Ihnen gehört:",
        button: "E-Mail-Adresse bestätigen",
        digits: "Um sie auf einem anderen Gerät zu bestätigen, öffnen Sie dort die folgende Seite und geben Sie Ihren \
                 Benutzernamen {{username}} und diesen Code ein:",
        expiry: "Link und Code gelten {{expires_in}} lang. Ihr Benutzername ist {{username}}.",
        way_out: "Wenn Sie sich nicht angemeldet haben, brauchen Sie nichts zu tun: ohne Bestätigung wird diese \
                  Adresse nicht verwendet.",
    },
    notice: NoticeWords {
        subject: "Sie haben schon ein Konto",
        somebody: "jemand hat sich mit dieser E-Mail-Adresse angemeldet, die schon ein Konto hat. Sein Benutzername \
                   ist {{username}}.",
        you: "Wenn Sie es waren, verwenden Sie dieses Konto: melden Sie sich mit dem genannten Benutzernamen an. Ein \
              zweites Konto wurde für diese Adresse nicht angelegt.",
        others: "Wenn es jemand anders war, brauchen Sie nichts zu tun. Niemand hat dabei erfahren, dass die Adresse \
                 ein Konto hat, und niemand kann sie verwenden.",
        seldom: "Wie oft das auch geschieht, wir schreiben Ihnen deswegen höchstens einmal am Tag.",
    },
    counted: |count, unit| {
        one_or_many(
            count,
            match unit {
                Unit::Hour => ["Stunde", "Stunden"],
                Unit::Minute => ["Minute", "Minuten"],
                Unit::Second => ["Sekunde", "Sekunden"],
            },
        )
    },
};
