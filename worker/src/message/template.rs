//! One template: text with placeholders.
//!
//! Takes: a text such as `Hello {{full_name}}`. Gives: a `Template` that was checked when it was parsed, so rendering
//! cannot fail; three are a mail's `Texts`. Does not: know conditions, loops or includes; an edited mail needs none,
//! and none can be broken.

/// What a placeholder stands for.
#[derive(Debug, Clone)]
pub(crate) struct Values<'a> {
    /// `{{full_name}}`: the name given at signup.
    pub(crate) full_name: &'a str,
    /// `{{username}}`
    pub(crate) username: &'a str,
    /// `{{link}}`: the page that verifies the address; empty in a mail without one.
    pub(crate) link: &'a str,
    /// `{{code}}`: six digits that do the same; empty in a mail without a link.
    pub(crate) code: &'a str,
    /// `{{code_link}}`: the page where they are typed; empty in a mail without a link.
    pub(crate) code_link: &'a str,
    /// `{{expires_in}}`: such as `24 hours`; empty in a mail without a link.
    pub(crate) expires_in: &'a str,
    /// `{{expires_in_hours}}`: the same as a number of whole hours, 1 at least, for languages without a built-in mail.
    pub(crate) expires_in_hours: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    FullName,
    Username,
    Link,
    Code,
    CodeLink,
    ExpiresIn,
    ExpiresInHours,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(Placeholder),
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

/// One mail: subject and both bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) subject: Template,
    pub(super) text: Template,
    pub(super) html: Template,
}

/// A template that cannot be used; tells the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{{` without `}}`.
    #[error("line {line}: `{{{{` is not closed; write e.g. `{{{{link}}}}`")]
    NotClosed {
        /// From 1.
        line: usize,
    },
    /// A name we do not know.
    #[error(
        "line {line}: `{{{{{name}}}}}` is not a placeholder; \
         use `{{{{full_name}}}}`, `{{{{username}}}}`, `{{{{link}}}}`, `{{{{code}}}}`, `{{{{code_link}}}}`, \
         `{{{{expires_in}}}}` or `{{{{expires_in_hours}}}}`"
    )]
    Unknown {
        /// From 1.
        line: usize,
        /// As it stands there, 40 letters at most.
        name: String,
    },
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let line = text[..text.len() - after.len()].matches('\n').count() + 1;
            let (name, after) = after.split_once("}}").ok_or(TemplateError::NotClosed { line })?;
            let placeholder = match name.trim() {
                "full_name" => Placeholder::FullName,
                "username" => Placeholder::Username,
                "link" => Placeholder::Link,
                "code" => Placeholder::Code,
                "code_link" => Placeholder::CodeLink,
                "expires_in" => Placeholder::ExpiresIn,
                "expires_in_hours" => Placeholder::ExpiresInHours,
                other => return Err(TemplateError::Unknown { line, name: other.chars().take(40).collect() }),
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Placeholder(placeholder));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    pub(super) fn has_link(&self) -> bool {
        self.0.contains(&Piece::Placeholder(Placeholder::Link))
    }

    /// `{{link}}` and what goes with it, which a mail without a link cannot fill in.
    pub(super) fn speaks_of_a_link(&self) -> bool {
        use Placeholder::{Code, CodeLink, ExpiresIn, ExpiresInHours, Link};
        let of_links = [Link, Code, CodeLink, ExpiresIn, ExpiresInHours];
        of_links.into_iter().any(|placeholder| self.0.contains(&Piece::Placeholder(placeholder)))
    }

    /// Fills in the values as they are.
    pub(super) fn text(&self, values: &Values<'_>) -> String {
        self.fill(values, |value, out| out.push_str(value))
    }

    /// Fills in the values with HTML's five special characters escaped.
    pub(super) fn html(&self, values: &Values<'_>) -> String {
        self.fill(values, escape)
    }

    fn fill(&self, values: &Values<'_>, mut write: impl FnMut(&str, &mut String)) -> String {
        let mut out = String::with_capacity(1024);
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Placeholder(Placeholder::FullName) => write(values.full_name, &mut out),
                Piece::Placeholder(Placeholder::Username) => write(values.username, &mut out),
                Piece::Placeholder(Placeholder::Link) => write(values.link, &mut out),
                Piece::Placeholder(Placeholder::Code) => write(values.code, &mut out),
                Piece::Placeholder(Placeholder::CodeLink) => write(values.code_link, &mut out),
                Piece::Placeholder(Placeholder::ExpiresIn) => write(values.expires_in, &mut out),
                Piece::Placeholder(Placeholder::ExpiresInHours) => write(values.expires_in_hours, &mut out),
            }
        }
        out
    }
}

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VALUES: Values<'_> = Values {
        full_name: "<b>Alice</b> {{link}}",
        username: "alice1",
        link: "https://a.example/?a=1&b=2",
        code: "012345",
        code_link: "https://a.example/code",
        expires_in: "24 hours",
        expires_in_hours: "24",
    };

    fn parse(text: &str) -> Template {
        Template::parse(text).expect("a good template")
    }

    #[test]
    fn values_are_escaped_in_html_only() {
        let template = parse("{{full_name}}|{{link}}");
        assert_eq!(template.text(&VALUES), "<b>Alice</b> {{link}}|https://a.example/?a=1&b=2");
        assert_eq!(template.html(&VALUES), "&lt;b&gt;Alice&lt;/b&gt; {{link}}|https://a.example/?a=1&amp;b=2");
    }

    #[test]
    fn a_value_is_never_read_as_a_placeholder() {
        assert!(parse("{{full_name}}").text(&VALUES).ends_with("{{link}}"));
    }

    #[test]
    fn mistakes_are_told_with_their_fix() {
        assert_eq!(Template::parse("a\r\n{{link}}\n{{link"), Err(TemplateError::NotClosed { line: 3 }));
        let error = Template::parse("a\n{{ name }}").expect_err("no such placeholder");
        assert_eq!(
            error.to_string(),
            "line 2: `{{name}}` is not a placeholder; \
             use `{{full_name}}`, `{{username}}`, `{{link}}`, `{{code}}`, `{{code_link}}`, `{{expires_in}}` or \
             `{{expires_in_hours}}`"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics_and_text_without_braces_stays(text in ".{0,80}") {
            if let Ok(template) = Template::parse(&text)
                && !text.contains("{{")
            {
                prop_assert_eq!(template.text(&VALUES), text);
            }
        }
    }
}
