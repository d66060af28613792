//! Times for people.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::text::{Text, shortened};

/// Builds that are to be the same each time set 1970 or 1980, which says nothing of the age.
const LATEST_ARTIFICIAL: i64 = 315_532_801;

/// How much is shown of a text that is not a time, in characters.
const MAX_TEXT: usize = 30;

/// Shows a time of RFC 3339 by its age.
pub(crate) fn age(text: Option<&str>) -> Markup {
    let Some(text) = text else {
        return html! { span.quiet { "not stated" } };
    };
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) if time.timestamp() <= LATEST_ARTIFICIAL => html! {
            span.quiet title=(Text(text)) { "reproducible" }
        },
        Ok(time) => {
            let time = time.with_timezone(&Utc);
            html! {
                time datetime=(time.format("%Y-%m-%dT%H:%M:%SZ")) title=(time.format("%Y-%m-%d %H:%M:%S UTC")) {
                    (words(time, Utc::now()))
                }
            }
        }
        Err(_) => html! { span title=(Text(text)) { (Text(&shortened(text, MAX_TEXT))) } },
    }
}

/// Returns how long before `now` the time is, in the largest unit that fits.
fn words(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = now.signed_duration_since(time).num_seconds();
    if seconds < 0 {
        return time.format("%Y-%m-%d").to_string();
    }
    let units = [
        (365 * 24 * 60 * 60, "year"),
        (30 * 24 * 60 * 60, "month"),
        (24 * 60 * 60, "day"),
        (60 * 60, "hour"),
        (60, "minute"),
    ];
    let fitting = units.iter().find(|(length, _)| seconds >= *length);
    match fitting {
        None => "just now".to_owned(),
        Some((length, unit)) => match seconds / length {
            1 => format!("1 {unit} ago"),
            count => format!("{count} {unit}s ago"),
        },
    }
}

/// Shows a number of seconds since 1970 as a date.
pub(crate) fn date(seconds: i64) -> Markup {
    match DateTime::from_timestamp(seconds, 0) {
        Some(time) if seconds != 0 => html! {
            time datetime=(time.format("%Y-%m-%dT%H:%M:%SZ")) { (time.format("%Y-%m-%d %H:%M")) }
        },
        _ => html! { span.quiet { "–" } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_the_unit_that_fits() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
        for (seconds, expected) in [
            (0, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (7200, "2 hours ago"),
            (86_400, "1 day ago"),
            (40 * 86_400, "1 month ago"),
            (800 * 86_400, "2 years ago"),
            (-86_400, "2027-01-16"),
        ] {
            let time = DateTime::from_timestamp(1_800_000_000 - seconds, 0).expect("a time");
            assert_eq!(words(time, now), expected);
        }
    }

    #[test]
    fn what_is_not_a_time_is_shown_as_text() {
        assert!(age(Some("<soon>")).into_string().contains(">&lt;soon&gt;<"));
        assert!(
            age(Some("1970-01-01T00:00:00Z"))
                .into_string()
                .contains("reproducible")
        );
    }
}
