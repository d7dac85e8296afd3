//! IANA time zones, by name.

use chrono_tz::Tz;

use super::Wrong;
use crate::finding::nearest;

/// The zone of this exact name.
pub(in crate::config) fn zone(text: &str) -> Result<Tz, Wrong> {
    if let Ok(zone) = text.parse::<Tz>() {
        return Ok(zone);
    }
    let wrong = Wrong::new(format!("is not a known time zone: `{text}`"));
    if text.starts_with(['+', '-']) {
        return Err(
            wrong.help("write an IANA name, such as `Europe/Berlin` or `Etc/GMT-2` (which is two hours east of UTC)")
        );
    }
    Err(match likely(text) {
        Some(near) => wrong.help(format!("did you mean `{near}`?")),
        None => wrong.help("write an IANA name, such as `UTC` or `Europe/Berlin`"),
    })
}

/// The zone that was meant: the same but for case and spaces, the same city, or the nearest name.
fn likely(text: &str) -> Option<&'static str> {
    let plain = text.trim().replace(' ', "_").to_lowercase();
    if plain == "z" {
        return Some("UTC");
    }
    let names = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    let city = |name: &str| name.rsplit('/').next().is_some_and(|city| city.to_lowercase() == plain);
    names()
        .find(|name| name.to_lowercase() == plain)
        .or_else(|| names().find(|name| city(name)))
        .or_else(|| nearest(&plain, names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_zone_is_named() {
        for (text, near) in [
            ("utc", "`UTC`"),
            ("Z", "`UTC`"),
            ("Europe/Berlim", "`Europe/Berlin`"),
            ("berlin", "`Europe/Berlin`"),
            ("new york", "`America/New_York`"),
        ] {
            let help = zone(text).unwrap_err().help.unwrap();
            assert!(help.contains(near), "{text}: {help}");
        }
    }

    #[test]
    fn an_offset_is_not_a_zone() {
        assert!(zone("+02:00").unwrap_err().help.unwrap().contains("IANA"));
        assert!(zone("").is_err());
    }
}
