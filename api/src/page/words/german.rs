//! German.

use super::{CodeWords, LinkWords, ResendWords, SignupWords, Words};

pub(super) const WORDS: Words = Words {
    link: LinkWords {
        title: "E-Mail-Adresse bestätigen",
        about: "Es geht um die Adresse",
        text: "Bestätigen Sie mit der Schaltfläche, dass diese Adresse Ihnen gehört. Wenn Sie sich nicht angemeldet \
               haben, schließen Sie diese Seite.",
        button: "E-Mail-Adresse bestätigen",
        expired: ("Dieser Link ist abgelaufen", "Fordern Sie eine neue E-Mail an und verwenden Sie deren Link."),
        used: ("Dieser Link wurde schon verwendet", "Fordern Sie eine neue E-Mail an und verwenden Sie deren Link."),
        address_changed: (
            "Dieser Link gilt nicht mehr",
            "Ihr Konto hat inzwischen eine andere E-Mail-Adresse. Verwenden Sie die neueste E-Mail.",
        ),
        invalid: "Dieser Link ist ungültig",
        end_missing: "Sein Ende fehlt, ab email_id=. Kopieren Sie den ganzen Link aus der E-Mail, bis zum letzten \
                      Buchstaben.",
        number_wrong: "Die Zahl nach email_id= fehlt oder ist keine Zahl. Kopieren Sie den Link noch einmal genau so, \
                       wie er in der E-Mail steht.",
        letters_wrong: "Von den 32 Buchstaben nach secret_code= fehlen einige, oder es sind mehr. Wenn die E-Mail den \
                        Link auf zwei Zeilen verteilt, setzen Sie beide ohne Zwischenraum in die Adresszeile.",
        malformed: "Ein Teil davon kommt zweimal vor oder enthält Zeichen, die keiner unserer Links hat. Kopieren Sie \
                    den Link noch einmal aus der E-Mail.",
        unknown: "Er ist vollständig, steht aber in keiner E-Mail von uns: vielleicht hat sich ein Buchstabe geändert, \
                  oder eine neuere E-Mail ersetzt ihn. Öffnen Sie die neueste E-Mail und kopieren Sie deren Link.",
    },
    code: CodeWords {
        title: "Code aus der E-Mail eingeben",
        text: "In der E-Mail, die wir Ihnen geschickt haben, steht ein Code aus sechs Ziffern.",
        username: "Benutzername",
        label: "Code",
        button: "E-Mail-Adresse bestätigen",
        instead: "Stattdessen den Code aus der E-Mail eingeben",
        not_six_digits: "Bitte geben Sie Ihren Benutzernamen und die sechs Ziffern aus der E-Mail ein.",
        wrong: "Benutzername oder Code stimmt nicht. Bitte vergleichen Sie beides mit der E-Mail.",
        expired: "Dieser Code ist abgelaufen. Fordern Sie unten eine neue E-Mail an.",
        used: "Dieser Code wurde schon verwendet. Fordern Sie unten eine neue E-Mail an.",
        locked: "Es wurden zu viele falsche Codes eingegeben, darum ist dieser gesperrt. Öffnen Sie den Link in \
                 derselben E-Mail, oder fordern Sie unten eine neue an.",
    },
    resend: ResendWords {
        title: "Neue E-Mail anfordern",
        text: "Geben Sie die Adresse ein, mit der Sie sich angemeldet haben.",
        label: "E-Mail-Adresse",
        button: "Neue E-Mail senden",
        no_address: "Das ist keine gültige E-Mail-Adresse.",
        done: (
            "Bitte sehen Sie in Ihr Postfach",
            "Wenn ein Konto mit dieser Adresse auf seine Bestätigung wartet, ist eine neue E-Mail unterwegs. Das kann \
             ein bis zwei Minuten dauern. Frühere E-Mails gelten, bis sie ablaufen.",
        ),
    },
    signup: SignupWords {
        title: "Registrieren",
        username_hint: "3 bis 100 Kleinbuchstaben, Ziffern oder Unterstriche.",
        full_name: "Vollständiger Name",
        password: "Passwort",
        password_hint: "Mindestens {} Zeichen.",
        button: "Registrieren",
        username_taken: "Dieser Benutzername ist vergeben. Bitte wählen Sie einen anderen.",
        username_reserved: "Dieser Benutzername gehört zur Website. Bitte wählen Sie einen anderen.",
        full_name_wrong: "Bitte geben Sie Ihren Namen ein, mit mindestens drei Buchstaben. Ziffern und die meisten \
                          Sonderzeichen gehören nicht hinein.",
        email_taken: "Mit dieser Adresse gibt es schon ein Konto.",
        email_wrong: "Das ist keine gültige E-Mail-Adresse.",
        email_domain: "Adressen dieses Anbieters können sich hier nicht registrieren. Bitte verwenden Sie eine \
                       andere.",
        email_no_mail: "Diese Domain nimmt keine E-Mails an. Bitte prüfen Sie die Adresse auf Tippfehler.",
        password_weak: "Dieses Passwort ist leicht zu erraten, aus einem Datenleck bekannt oder enthält Ihren \
                        Benutzernamen oder Ihre Adresse. Bitte wählen Sie ein anderes.",
        password_long: "Höchstens 128 Zeichen.",
        correct_below: "Bitte korrigieren Sie, was unten markiert ist.",
        later: "Wir konnten gerade nicht antworten. Bitte versuchen Sie es gleich noch einmal; von Ihren Eingaben \
                ist nur das Passwort verloren.",
        not_understood: "Wir konnten das Formular nicht lesen. Bitte füllen Sie es noch einmal aus.",
        from_elsewhere: "Dieses Formular wurde von einer anderen Website gesendet. Wenn Sie das waren, geben Sie \
                         ein Passwort ein und senden Sie es von hier.",
        sent: (
            "Bitte sehen Sie in Ihr Postfach",
            "Öffnen Sie die E-Mail und verwenden Sie ihre Schaltfläche, oder geben Sie hier ihren Code ein. \
             Das kann ein bis zwei Minuten dauern.",
        ),
        sent_to: "Eine E-Mail zur Bestätigung geht an",
        queued: "Die E-Mail wird gleich gesendet.",
        delivered: "Der Mailserver hat die E-Mail angenommen.",
        refused: "Der Mailserver hat die E-Mail abgelehnt. Stimmt die Adresse?",
        failed: "Die E-Mail konnte nicht gesendet werden. Bitte fordern Sie unten eine neue an.",
        no_mail: "Noch keine E-Mail?",
        no_mail_text: "Bitte sehen Sie auch im Spam-Ordner nach. Frühere E-Mails gelten, bis sie ablaufen.",
    },
    verified: ("Ihre E-Mail-Adresse ist bestätigt", "Vielen Dank. Sie können diese Seite schließen."),
    later: (
        "Bitte versuchen Sie es später noch einmal",
        "Wir konnten gerade nicht antworten. Links und Codes, die Sie haben, bleiben gültig.",
    ),
};
