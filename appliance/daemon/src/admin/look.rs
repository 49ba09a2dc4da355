//! Layout and style of every admin page.
