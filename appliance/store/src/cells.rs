//! How a piece is cut into cells. redb rounds every page of a large value up to a power of two, so a value of exactly
//! 65,536 bytes would cost 128 KiB; each size here is a power of two minus the leaf's overhead (4 + 4 + 8 byte key) and
//! a reserve that lets the key grow to 22 bytes without a new format.

/// Cell sizes, largest first; what is left after them is the tail, which shares pages with other tails.
const SIZES: [u32; 5] = [65_504, 32_736, 16_352, 8_160, 4_064];

/// One cell of a piece: its number, and where it lies within the piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub index: u32,
    pub start: u32,
    pub len: u32,
    /// Smaller than the smallest size: kept in the tail table.
    pub tail: bool,
}

/// The cells of a piece of `len` bytes, in order.
pub(crate) fn layout(len: u32) -> impl Iterator<Item = Cell> {
    let mut start = 0;
    let mut index = 0;
    std::iter::from_fn(move || {
        let left = len - start;
        if left == 0 {
            return None;
        }
        let size = SIZES.into_iter().find(|size| *size <= left);
        let cell = Cell {
            index,
            start,
            len: size.unwrap_or(left),
            tail: size.is_none(),
        };
        start += cell.len;
        index += 1;
        Some(cell)
    })
}

/// The cells that overlap `offset..offset + count` of a piece of `len` bytes, without walking the ones before.
pub(crate) fn covering(len: u32, offset: u32, count: u32) -> impl Iterator<Item = Cell> {
    let whole = (offset / SIZES[0]).min(len / SIZES[0]);
    let skipped = whole * SIZES[0];
    let end = offset.saturating_add(count).min(len);
    layout(len - skipped)
        .map(move |cell| Cell {
            index: cell.index + whole,
            start: cell.start + skipped,
            ..cell
        })
        .skip_while(move |cell| cell.start + cell.len <= offset)
        .take_while(move |cell| cell.start < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cover_every_byte_once_and_fit_their_pages() {
        for len in (1..70_000)
            .step_by(7)
            .chain([1 << 18, 1 << 20, (1 << 24) + 5, 64 << 20])
        {
            let cells: Vec<Cell> = layout(len).collect();
            let mut at = 0;
            for (i, cell) in cells.iter().enumerate() {
                assert_eq!((cell.start, cell.index), (at, i as u32));
                let page = (cell.len + 16).next_power_of_two();
                assert!(cell.tail || page - cell.len <= 32, "{cell:?} wastes its page");
                at += cell.len;
            }
            assert_eq!(at, len);
            assert_eq!(
                cells.iter().filter(|cell| cell.tail).count(),
                usize::from(cells.last().expect("one").tail)
            );
        }
    }

    #[test]
    fn covering_finds_the_same_cells_as_a_walk() {
        for (len, offset, count) in [
            (262_144, 0, 16_384),
            (262_144, 65_000, 16_384),
            (262_144, 262_143, 9),
            (100, 0, 100),
        ] {
            let walked: Vec<Cell> = layout(len)
                .filter(|cell| cell.start < offset + count && cell.start + cell.len > offset)
                .collect();
            assert_eq!(covering(len, offset, count).collect::<Vec<_>>(), walked);
        }
    }
}
