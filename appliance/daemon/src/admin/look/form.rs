//! Forms: fields that say their name, their hint and what was wrong, and the page that asks before something is lost.

use maud::{Markup, html};

/// One text field. What was typed stays when the form is refused.
#[derive(Debug, Clone, Default)]
pub struct Field<'a> {
    name: &'a str,
    label: &'a str,
    hint: Option<&'a str>,
    value: &'a str,
    error: Option<&'a str>,
    kind: &'a str,
    autocomplete: Option<&'a str>,
    short: bool,
    required: bool,
}

impl<'a> Field<'a> {
    pub fn new(name: &'a str, label: &'a str) -> Self {
        Self {
            name,
            label,
            kind: "text",
            ..Self::default()
        }
    }

    /// `password`, `time`, …; `area` for several lines.
    pub fn kind(mut self, kind: &'a str) -> Self {
        self.kind = kind;
        self
    }

    pub fn hint(mut self, hint: &'a str) -> Self {
        self.hint = Some(hint);
        self
    }

    pub fn value(mut self, value: &'a str) -> Self {
        self.value = value;
        self
    }

    pub fn error(mut self, error: Option<&'a str>) -> Self {
        self.error = error;
        self
    }

    /// What the browser may fill in (HTML autofill names).
    pub fn autocomplete(mut self, what: &'a str) -> Self {
        self.autocomplete = Some(what);
        self
    }

    /// For numbers: a narrow field.
    pub fn short(mut self) -> Self {
        self.short = true;
        self
    }

    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub fn draw(&self) -> Markup {
        let name = self.name;
        let about = [
            self.hint.map(|_| format!("{name}-hint")),
            self.error.map(|_| format!("{name}-error")),
        ];
        let about: Vec<String> = about.into_iter().flatten().collect();
        let about = (!about.is_empty()).then(|| about.join(" "));
        let wrong = self.error.map(|_| "true");
        let class = self.short.then_some("short");
        let complete = self.autocomplete.unwrap_or("off");
        html! {
            div.field {
                label for=(name) { (self.label) }
                @if let Some(hint) = self.hint { p.hint id=(format!("{name}-hint")) { (hint) } }
                @if let Some(error) = self.error { p.error id=(format!("{name}-error")) { (error) } }
                @if self.kind == "area" {
                    textarea id=(name) name=(name) rows="4" aria-describedby=[about] aria-invalid=[wrong]
                        autocapitalize="none" spellcheck="false" required[self.required] { "\n" (self.value) }
                } @else {
                    input id=(name) name=(name) type=(self.kind) value=(self.value) class=[class]
                        aria-describedby=[about] aria-invalid=[wrong] autocomplete=(complete)
                        autocapitalize="none" spellcheck="false" required[self.required];
                }
            }
        }
    }
}

pub fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

/// A form of one button: what most deeds are. `class`: empty, `quiet` or `loss`.
pub fn send(action: &str, token: &str, fields: &[(&str, &str)], class: &str, words: &str) -> Markup {
    html! {
        form action=(action) method="post" {
            (hidden("token", token))
            @for (name, value) in fields { (hidden(name, value)) }
            button class=[(!class.is_empty()).then_some(class)] type="submit" { (words) }
        }
    }
}

/// Stands above a form that was refused; each line leads to its field.
pub fn errors(found: &[(&str, &str)]) -> Markup {
    html! {
        @if !found.is_empty() {
            div.errors role="alert" {
                h2 { "Nothing was changed yet" }
                ul { @for (field, text) in found { li { a href=(format!("#{field}")) { (text) } } } }
            }
        }
    }
}

/// Asks before something is lost: what happens, and how to undo it.
pub struct Confirm<'a> {
    pub question: &'a str,
    /// What will change, a sentence each.
    pub changes: &'a [String],
    pub undo: &'a str,
    pub action: &'a str,
    pub token: &'a str,
    pub fields: &'a [(&'a str, &'a str)],
    /// The button that does it, by name: "Unfollow".
    pub button: &'a str,
    /// Where "no" leads.
    pub back: &'a str,
}

impl Confirm<'_> {
    pub fn draw(&self) -> Markup {
        html! {
            h1 { (self.question) }
            h2 { "What will change" }
            ul { @for change in self.changes { li { (change) } } }
            h2 { "How to undo it" }
            p { (self.undo) }
            div.deeds {
                (send(self.action, self.token, self.fields, "loss", self.button))
                a.button.quiet href=(self.back) { "No, go back" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_field_keeps_what_was_typed_and_is_tied_to_its_words() {
        let field = Field::new("up", "Upload")
            .hint("in Mbit/s")
            .value("\"><b>fast")
            .error(Some("\"fast\" is no number"));
        let text = field.draw().into_string();
        assert!(
            text.contains(r#"for="up""#) && text.contains(r#"id="up""#),
            "{text}"
        );
        assert!(text.contains(r#"aria-describedby="up-hint up-error""#), "{text}");
        assert!(text.contains("&quot;&gt;&lt;b&gt;fast"), "{text}");
        assert!(text.contains(r#"aria-invalid="true""#));
        let summary = errors(&[("up", "no <number>")]).into_string();
        assert!(summary.contains(r##"href="#up""##) && summary.contains("&lt;number&gt;"));
        assert_eq!(errors(&[]).into_string(), "");
    }

    #[test]
    fn what_is_lost_is_asked_first_with_a_way_back() {
        let confirm = Confirm {
            question: "Stop following <it>?",
            changes: &["It is no longer kept fresh.".into()],
            undo: "Paste the address again.",
            action: "/subscriptions/00/unfollow",
            token: "t",
            fields: &[("remove", "no")],
            button: "Unfollow",
            back: "/subscriptions/00",
        };
        let text = confirm.draw().into_string();
        assert!(text.contains("Stop following &lt;it&gt;?"));
        assert!(
            text.contains(r#"<input type="hidden" name="token" value="t">"#),
            "{text}"
        );
        assert!(text.contains(r#"href="/subscriptions/00""#));
    }
}
