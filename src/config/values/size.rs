//! Amounts of memory, such as `8 GiB`. `GB` is 10^9 bytes, `GiB` is 2^30.

use super::Wrong;

const UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("bytes", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// The bytes of a size, at least 1.
pub(in crate::config) fn size_bytes(text: &str) -> Result<u64, Wrong> {
    let bad = || {
        Wrong::new(format!("is not a size: `{text}`")).help("write a number and a unit, such as `8 GiB` or `512 MiB`")
    };
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let unit = unit.trim();
    let Some((_, bytes)) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
        let letter = unit.to_uppercase();
        return Err(match letter.as_str() {
            "K" | "M" | "G" | "T" => {
                bad().help(format!("write `{number} {letter}iB`, or `{number} {letter}B` for powers of 1000"))
            }
            _ => bad(),
        });
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.len() > 9 || fraction.contains('.') {
        return Err(bad());
    }
    let too_large = || Wrong::new(format!("is too large: `{text}`"));
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let parts: u64 = fraction.parse().map_err(|_| bad())?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| bad())?);
    let part = u64::try_from(u128::from(parts) * u128::from(*bytes) / scale).map_err(|_| too_large())?;
    match whole.checked_mul(*bytes).and_then(|n| n.checked_add(part)) {
        Some(0) => {
            Err(Wrong::new(format!("is zero: `{text}`")).help("write a size such as `8 GiB`, or leave the key out"))
        }
        Some(n) => Ok(n),
        None => Err(too_large()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        for (text, want) in [
            ("8 GiB", 8 << 30),
            ("512MiB", 512 << 20),
            ("2 GB", 2_000_000_000),
            ("1.5 GiB", 3 << 29),
            ("1 kb", 1_000),
            ("100 bytes", 100),
        ] {
            assert_eq!(size_bytes(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in [
            "",
            "8",
            "GiB",
            "0 GiB",
            "-1 GiB",
            "1.2.3 GiB",
            ".5 GiB",
            "8 GiBs",
            "99999999999999999999 B",
            "99999999 TiB",
        ] {
            assert!(size_bytes(text).is_err(), "{text}");
        }
        assert!(size_bytes("8G").unwrap_err().help.unwrap().contains("`8 GiB`"));
    }
}
