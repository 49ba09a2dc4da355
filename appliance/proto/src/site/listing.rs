//! One page of a folder: order, paging, words for sizes. The page itself is drawn by the gateway.

use std::cmp::Ordering;

use super::tree::Entry;

/// Rows per page; keeps the page under 30 KB even with long names.
pub const ROWS: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Name,
    Size,
}

/// How a reader asked for the listing: `?sort=name|size&order=asc|desc&page=N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    pub sort: Sort,
    pub descending: bool,
    /// From 0.
    pub page: usize,
}

impl View {
    /// Unknown values mean the default, so that an old link still shows the folder.
    pub fn parse(query: &str) -> Self {
        let value = |name| super::path::query_value(query, name).unwrap_or_default();
        let sort = match value("sort").as_str() {
            "size" => Sort::Size,
            _ => Sort::Name,
        };
        Self {
            sort,
            descending: value("order") == "desc",
            page: value("page").parse::<usize>().unwrap_or(1).max(1) - 1,
        }
    }

    /// The query that asks for this view; empty for the default.
    pub fn query(&self) -> String {
        let mut pairs = Vec::new();
        if self.sort == Sort::Size {
            pairs.push("sort=size".to_owned());
        }
        if self.descending {
            pairs.push("order=desc".to_owned());
        }
        if self.page > 0 {
            pairs.push(format!("page={}", self.page + 1));
        }
        pairs.join("&")
    }
}

/// Orders the rows (folders first) and cuts out the page asked for. Returns the number of pages, at least 1; a page past
/// the end is the last one.
pub fn page<'e, 'a>(rows: &'e mut [Entry<'a>], view: &mut View) -> (&'e [Entry<'a>], usize) {
    rows.sort_by(|a, b| {
        let folders_first = a.file.is_some().cmp(&b.file.is_some());
        let order = match view.sort {
            Sort::Name => natural(a.name, b.name),
            Sort::Size => a.size.cmp(&b.size).then_with(|| natural(a.name, b.name)),
        };
        folders_first.then(if view.descending { order.reverse() } else { order })
    });
    let pages = rows.len().div_ceil(ROWS).max(1);
    view.page = view.page.min(pages - 1);
    let from = view.page * ROWS;
    (&rows[from..rows.len().min(from + ROWS)], pages)
}

/// Numbers by value, letters without case, then byte order: `2.mp3` before `10.mp3`.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) else {
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (one, two) = (digits(left), digits(right));
            left = &left[one.len()..];
            right = &right[two.len()..];
            let (one, two) = (one.trim_start_matches('0'), two.trim_start_matches('0'));
            one.len().cmp(&two.len()).then_with(|| one.cmp(two))
        } else {
            left = &left[x.len_utf8()..];
            right = &right[y.len_utf8()..];
            x.to_lowercase().cmp(y.to_lowercase())
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn digits(text: &str) -> &str {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    &text[..end]
}

/// Bytes in words: `0 B`, `999 B`, `1.2 KB`, `35 MB` (powers of 1000, as disks are sold).
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if value < 9.95 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

/// Whole percent that never says 100 before it is all there, nor 0 when something is.
pub fn percent(held: u64, total: u64) -> u8 {
    if held >= total {
        return 100;
    }
    let exact = (u128::from(held) * 100 / u128::from(total)) as u8;
    if held > 0 { exact.clamp(1, 99) } else { 0 }
}
