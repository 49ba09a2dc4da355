//! The sites inside the program: the starter site that a new Granary seeds, and the one of `granary demo`.

/// Files of a site, paths with `/`.
pub struct Bundle {
    pub name: &'static str,
    pub files: &'static [(&'static str, &'static [u8])],
}

macro_rules! files {
    ($folder:literal, $($path:literal),+ $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../starter/", $folder, "/", $path)))),+]
    };
}

/// What a newcomer opens first.
pub static STARTER: Bundle = Bundle {
    name: "Welcome to Granary",
    files: files!(
        "welcome",
        "index.html",
        "style.css",
        "granary.svg",
        "field.png",
        "manual/index.html",
        "manual/manual.txt"
    ),
};

/// What the demo peer seeds.
pub static DEMO: Bundle = Bundle {
    name: "The seed exchange",
    files: files!(
        "demo",
        "index.html",
        "style.css",
        "seeds/rye.html",
        "seeds/emmer.html",
        "field.png",
        "almanac.txt"
    ),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sites_of_the_program_need_no_script_and_no_other_server() {
        for bundle in [&STARTER, &DEMO] {
            for (path, bytes) in bundle.files {
                let text = String::from_utf8_lossy(bytes).to_lowercase();
                if path.ends_with(".html") || path.ends_with(".css") || path.ends_with(".svg") {
                    assert!(
                        !text.contains("<script") && !text.contains("javascript:"),
                        "{path}"
                    );
                    let outside = text.replace("http://www.w3.org/", "");
                    assert!(
                        !outside.contains("src=http") && !outside.contains("src=\"http"),
                        "{path}"
                    );
                }
            }
        }
    }
}
