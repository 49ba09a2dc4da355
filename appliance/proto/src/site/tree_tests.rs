use super::{Found, Tree};
use crate::{
    metainfo::{Info, parse_info},
    site::{
        listing::{self, View},
        path::SitePath,
    },
};

/// A torrent of these files, each as long as its path.
fn info(paths: &[&str]) -> Info {
    let text = |text: &str| format!("{}:{text}", text.len());
    let files: String = paths
        .iter()
        .map(|path| {
            let parts: String = path.split('/').map(text).collect();
            format!("d6:lengthi{}e4:pathl{parts}ee", path.len())
        })
        .collect();
    let total: usize = paths.iter().map(|path| path.len()).sum();
    let pieces = "h".repeat(20 * total.div_ceil(16_384));
    let raw = format!(
        "d5:filesl{files}e4:name1:n12:piece lengthi16384e6:pieces{}e",
        text(&pieces)
    );
    parse_info(raw.as_bytes()).unwrap()
}

fn find(paths: &[&str], path: &str) -> Found {
    let info = info(paths);
    Tree::new(&info).find(&info, &SitePath::parse(path).unwrap(), true)
}

#[test]
fn a_common_top_folder_is_not_part_of_the_url() {
    let stripped = ["site/index.html", "site/a/b.txt"];
    assert_eq!(find(&stripped, "/"), Found::File(0));
    assert_eq!(find(&stripped, "/a/b.txt"), Found::File(1));
    let beside = ["site/index.html", "readme.txt"];
    assert_eq!(find(&beside, "/"), Found::Listing);
    assert_eq!(find(&beside, "/site/"), Found::File(0));
    let twice = ["a/b/c.txt", "a/b/d.txt"];
    assert_eq!(find(&twice, "/b/c.txt"), Found::File(0));
}

#[test]
fn a_path_finds_files_folders_and_their_other_spellings() {
    let paths = [
        "b.html",
        "a",
        "dir/index.html",
        "dir/x",
        "list/y",
        "list-2",
        "z/index.htm",
    ];
    for (path, want) in [
        ("/b.html", Found::File(0)),
        ("/b", Found::File(0)),
        ("/a", Found::File(1)),
        ("/dir/", Found::File(2)),
        ("/dir", Found::Redirect("/dir/".into())),
        ("/list", Found::Redirect("/list/".into())),
        ("/list/", Found::Listing),
        ("/z/", Found::File(6)),
        ("/", Found::Listing),
        ("/a/", Found::Missing),
        ("/lis", Found::Missing),
        ("/list/y/", Found::Missing),
        ("/A", Found::Missing),
        ("/zz", Found::Missing),
    ] {
        assert_eq!(find(&paths, path), want, "{path}");
    }
}

#[test]
fn a_folder_lists_each_child_once_with_the_sum_below() {
    let info = info(&["d/x/1", "d/x/2", "d/a", "d/x-y", "e", "d/x.txt"]);
    let tree = Tree::new(&info);
    let span = tree.folder(&info, &["d"]).unwrap();
    let mut rows = tree.entries(&info, span, 1);
    assert_eq!(
        rows.iter().map(|row| row.name).collect::<Vec<_>>(),
        ["a", "x", "x-y", "x.txt"]
    );
    assert_eq!(rows[1].size, 10);
    assert_eq!(tree.files(rows[1].span).count(), 2);
    let (shown, pages) = listing::page(&mut rows, &mut View::parse("sort=size&order=desc&page=7"));
    assert_eq!(pages, 1);
    assert_eq!(shown[0].name, "x");
    assert_eq!(shown[1].name, "x.txt");
}

#[test]
fn sizes_and_order_read_as_people_expect() {
    for (bytes, text) in [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 KB"),
        (9_949, "9.9 KB"),
        (35_400_000, "35 MB"),
        (999_999, "1.0 MB"),
        (u64::MAX, "18 EB"),
    ] {
        assert_eq!(listing::size(bytes), text);
    }
    let mut names = ["10.mp3", "B", "2.mp3", "a", "02.mp3", "10a"];
    names.sort_by(|a, b| listing::natural(a, b));
    assert_eq!(names, ["02.mp3", "2.mp3", "10.mp3", "10a", "a", "B"]);
    assert_eq!(
        (
            listing::percent(0, 9),
            listing::percent(1, 1_000),
            listing::percent(999, 1_000)
        ),
        (0, 1, 99)
    );
    assert_eq!((listing::percent(5, 5), listing::percent(0, 0)), (100, 100));
}
