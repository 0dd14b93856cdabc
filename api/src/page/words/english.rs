//! English.

use super::{CodeWords, LinkWords, ResendWords, SignupWords, Words};

pub(super) const WORDS: Words = Words {
    link: LinkWords {
        title: "Verify your email address",
        about: "This is about the address",
        text: "Press the button to confirm that this address is yours. If you did not sign up, close this page.",
        button: "Verify my email address",
        expired: ("This link has expired", "Ask for a new verification email and use its link."),
        used: ("This link was used before", "Ask for a new verification email and use its link."),
        address_changed: (
            "This link is no longer valid",
            "Your account has another email address by now. Use the newest email.",
        ),
        invalid: "This link is not valid",
        end_missing: "Its end is missing, from email_id= on. Copy the whole link out of the email, down to its last \
                      letter.",
        number_wrong: "The number after email_id= is missing or is no number. Copy the link again, exactly as it is in \
                       the email.",
        letters_wrong: "The 32 letters after secret_code= are not all there, or there are more. Where the email breaks \
                        the link into two lines, put both into the address bar, with nothing between them.",
        malformed: "A part of it is there twice, or holds signs that no link of ours has. Copy the link again out of \
                    the email.",
        unknown: "It is whole, but no email of ours has this one: a letter of it may have changed, or a newer email \
                  replaced it. Open the newest email, and copy the link out of it.",
    },
    code: CodeWords {
        title: "Enter the code of your email",
        text: "The email that we sent you has a code of six digits.",
        username: "Username",
        label: "Code",
        button: "Verify my email address",
        instead: "Enter the code of the email instead",
        not_six_digits: "Please enter your username and the six digits of the email.",
        wrong: "Username or code is wrong. Please compare both with the email.",
        expired: "This code has expired. Ask for a new email below.",
        used: "This code was used before. Ask for a new email below.",
        locked: "Too many wrong codes were entered, so this one is locked. Open the link in the same email, or ask \
                 for a new email below.",
    },
    resend: ResendWords {
        title: "Send me a new email",
        text: "Enter the address that you signed up with.",
        label: "Email address",
        button: "Send a new email",
        no_address: "This is not a valid email address.",
        done: (
            "Please look into your inbox",
            "If an account with this address waits for its verification, a new email is on its way. It can take a \
             minute or two. Earlier emails stay valid until they expire.",
        ),
    },
    signup: SignupWords {
        title: "Sign up",
        username_hint: "3 to 100 small letters, digits or underscores.",
        full_name: "Full name",
        password: "Password",
        password_hint: "At least {} characters.",
        button: "Sign up",
        username_taken: "This username is taken. Please choose another one.",
        username_reserved: "This username belongs to the site. Please choose another one.",
        full_name_wrong: "Please enter your name, with at least three letters. Digits and most signs do not belong \
                          into it.",
        email_taken: "There is an account with this address already.",
        email_wrong: "This is not a valid email address.",
        email_domain: "Addresses of this provider may not sign up here. Please use another one.",
        email_no_mail: "No email reaches this domain. Please look for a typing error.",
        password_weak: "This password is easy to guess, is known from a breach of another site, or holds your \
                        username or address. Please choose another one.",
        password_long: "At most 128 characters.",
        correct_below: "Please correct what is marked below.",
        later: "We could not answer just now. Please try again in a little while; nothing that you typed is lost \
                but the password.",
        not_understood: "We could not read the form. Please fill it in once more.",
        from_elsewhere: "This form was sent from another site. If that was you, enter a password and send it from \
                         here.",
        sent: (
            "Please look into your inbox",
            "Open the email and press its button, or enter its code here. It can take a minute or two.",
        ),
        sent_to: "A verification email goes to",
        queued: "The email waits to be sent.",
        delivered: "The mail server has accepted the email.",
        refused: "The mail server refused the email. Is the address right?",
        failed: "The email could not be sent. Please ask for a new one below.",
        no_mail: "No email yet?",
        no_mail_text: "Please look into the folder for spam, too. Earlier emails stay valid until they expire.",
    },
    verified: ("Your email address is verified", "Thank you. You can close this page."),
    later: ("Please try again later", "We could not answer just now. Links and codes that you have stay valid."),
};
