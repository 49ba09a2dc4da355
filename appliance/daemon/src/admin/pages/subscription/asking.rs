//! The pages before something is lost.

use maud::{Markup, html};
use proto::id::InfoHash;

use super::path;
use crate::{
    admin::{
        look::{Confirm, hidden, words},
        pages::subscriptions::name,
    },
    feeds::View,
};

pub fn unfollow(view: &View, token: &str) -> Markup {
    let back = path(view);
    html! {
        h1 { "Stop following “" (words::short(name(view), 80)) "”?" }
        h2 { "What will change" }
        ul {
            li { "The box no longer looks for new versions, and no longer keeps the publisher's record alive." }
            li { "You decide below about the files: " (words::size(view.held_bytes)) " of the newest version are here." }
        }
        h2 { "How to undo it" }
        p { "Add the same address again: " code { (view.row.address) } }
        p { "Files that were removed must then be fetched again, from whoever still has them." }
        form action=(format!("{back}/unfollow")) method="post" {
            (hidden("token", token))
            fieldset {
                legend { "The files" }
                div.field { input.check #keep type="radio" name="files" value="keep" checked; label.inline for="keep" { "Keep them: they stay open to read and shared" } }
                div.field { input.check #remove type="radio" name="files" value="remove"; label.inline for="remove" { "Remove them, unless another site uses them" } }
            }
            div.deeds {
                button.loss type="submit" { "Unfollow" }
                a.button.quiet href=(back) { "No, go back" }
            }
        }
    }
}

pub fn block(view: &View, token: &str) -> Markup {
    let back = path(view);
    Confirm {
        question: &format!("Block “{}”?", words::short(name(view), 80)),
        changes: &[
            "Nobody in this home can open it through the box.".into(),
            "Nothing of it is fetched, given to others or kept alive.".into(),
            format!(
                "Its files go from the disk, pinned versions too: {} of the newest one are here.",
                words::size(view.held_bytes)
            ),
        ],
        undo: "Press “Unblock” on its page: it is then fetched again, from whoever still has it.",
        action: &format!("{back}/block"),
        token,
        fields: &[],
        button: "Block",
        back: &back,
    }
    .draw()
}

pub fn remove(view: &View, version: InfoHash, token: &str) -> Markup {
    let back = path(view);
    let version = version.to_string();
    Confirm {
        question: &format!("Remove this version of “{}”?", words::short(name(view), 80)),
        changes: &[
            format!("The files of version {version} go from the disk, unless another version uses them."),
            "The other versions stay.".into(),
        ],
        undo: "Open the version again from the list: it is then fetched from whoever still has it, perhaps nobody.",
        action: &format!("{back}/remove"),
        token,
        fields: &[("version", &version)],
        button: "Remove this version",
        back: &back,
    }
    .draw()
}
