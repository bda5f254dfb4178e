use crate::expr::SecretText;
use crate::store::{MASK_AT_LEAST, MaskRefused, Masker};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

const CANARY: &str = "s3cr3t/V+lue'\"\\ <\u{e4}>\n%&$x";

fn masker(secrets: &[&str]) -> Masker {
    let masker = Masker::new();
    for (index, text) in secrets.iter().enumerate() {
        masker.add(&SecretText::new(format!("n{index}"), *text)).unwrap();
    }
    masker
}

fn pieces(masker: &Masker, bytes: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut stream = masker.stream();
    let mut out = Vec::new();
    let mut at = 0;
    for cut in cuts {
        let end = (at + cut).min(bytes.len());
        out.extend(stream.write(&bytes[at..end]));
        at = end;
    }
    out.extend(stream.write(&bytes[at..]));
    out.extend(stream.finish());
    out
}

#[test]
fn text_without_secrets_stays_as_it_is() {
    let masker = masker(&["hunter2hunter2"]);
    assert_eq!(masker.mask("nothing here ‹ä›"), "nothing here ‹ä›");
    assert_eq!(Masker::new().mask("hunter2hunter2"), "hunter2hunter2");
}

#[test]
fn the_name_stands_in_the_place_of_the_text() {
    let masker = masker(&["hunter2hunter2"]);
    assert_eq!(masker.mask("a hunter2hunter2 b"), "a ‹secret n0› b");
}

#[test]
fn every_form_is_found() {
    let masker = masker(&[CANARY]);
    let form: String = url::form_urlencoded::byte_serialize(CANARY.as_bytes()).collect();
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let ascii = r#"s3cr3t/V+lue'\"\\ <\u00e4>\n%&$x"#;
    let forms = [
        CANARY.to_owned(),
        form,
        percent_of(CANARY, "-._~"),
        percent_of(CANARY, "-._~!*'()"),
        percent_of(CANARY, "-._~/"),
        percent_of(CANARY, "-._~$&+=:@"),
        lower_percent(&percent_of(CANARY, "-._~")),
        hex.to_uppercase(),
        hex,
        serde_json::to_string(CANARY).unwrap(),
        ascii.to_owned(),
        shlex::try_quote(CANARY).unwrap().into_owned(),
        serde_json::to_string(&shlex::try_quote(CANARY).unwrap()).unwrap(),
        format!("'{}'", CANARY.replace('\'', r"'\''")),
        r#"$'s3cr3t/V+lue\'"\\ <\xc3\xa4>\n%&$x'"#.to_owned(),
        r#"$'s3cr3t/V+lue\'"\\ <\303\244>\n%&$x'"#.to_owned(),
        format!("{CANARY:?}"),
        STANDARD.encode(CANARY),
        URL_SAFE.encode(CANARY),
    ];
    // The quotes around a form may be left, and nothing of the form itself.
    for form in forms {
        let masked = masker.mask(&format!("before {form} after"));
        let left = masked.replace("‹secret n0›", "").replace("before ", "").replace(" after", "");
        assert!(left.chars().count() <= 3, "{form:?} became {masked:?}");
        assert!(masked.contains("‹secret n0›"), "{form:?} became {masked:?}");
    }
}

fn lower_percent(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| format!("{out}%{}{}", part[..2].to_lowercase(), &part[2..]))
}

/// Percent-encoding with a set of characters that stay.
fn percent_of(text: &str, stay: &str) -> String {
    text.bytes()
        .map(|byte| match char::from(byte) {
            character if character.is_ascii_alphanumeric() || stay.contains(character) => character.to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[test]
fn each_line_of_a_long_secret_is_found() {
    let masker = masker(&["-----BEGIN KEY-----\nMIIEvQIBADANBgkqh\nkiG9w0BAQEFAASC\nshort\n"]);
    let masked = masker.mask("kiG9w0BAQEFAASC | MIIEvQIBADANBgkqh | short");
    assert_eq!(masked, "‹secret n0› | ‹secret n0› | short");
}

#[test]
fn a_longer_secret_leaves_no_tail_beside_a_shorter_one() {
    let masker = masker(&["abcdefgh", "abcdefghijkl", "efghijklmnop"]);
    for text in ["abcdefghijkl", "abcdefghijklmnop", "abcdefghabcdefgh", "xefghijklmnopabcdefghij"] {
        let masked = masker.mask(text);
        assert!(!masked.contains("ijkl") && !masked.contains("mnop") && !masked.contains("abcd"), "{masked}");
    }
    assert_eq!(masker.mask("abcdefghij"), "‹secret n0›ij");
}

#[test]
fn what_cannot_be_masked_is_refused_with_a_reason() {
    let masker = Masker::new();
    masker.know_plain("input `region`", "eu-central-1");
    let add = |name: &str, text: &str| masker.add(&SecretText::new(name, text));
    assert!(matches!(add("pin", "1234567"), Err(MaskRefused::TooShort { .. })));
    assert!(matches!(add("blank", "            "), Err(MaskRefused::TooShort { .. })));
    let refused = add("token", "eu-central-1").unwrap_err();
    assert_eq!(refused.to_string(), "secret `token` has the same text as input `region`, which is not secret");
    assert!(matches!(add("word", "succeeded"), Err(MaskRefused::NotSecret { .. })));
    assert!(matches!(add("word", "attempt_"), Err(MaskRefused::NotSecret { .. })));
    assert!(matches!(add("password1", "password"), Err(MaskRefused::NotSecret { .. })));
    assert_eq!(masker.mask("1234567 eu-central-1 succeeded"), "1234567 eu-central-1 succeeded");
    assert_eq!(add("ok", "12345678"), Ok(()));
    assert_eq!(add("same", "12345678"), Ok(()));
    assert_eq!(masker.mask("12345678"), "‹secret ok›");
}

#[test]
fn refusals_do_not_print_the_secret() {
    let refused = Masker::new().add(&SecretText::new("pin", "zzyzx")).unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("zzyzx"));
    assert!(!format!("{:?}", masker(&["zzyzxzzyzx"])).contains("zzyzx"));
}

#[test]
fn a_secret_added_in_the_middle_of_a_stream_is_masked_from_then_on() {
    let masker = masker(&["aaaabbbb"]);
    let mut stream = masker.stream();
    let mut out = stream.write(b"one aaaa");
    masker.add(&SecretText::new("late", "aaaacccc")).unwrap();
    out.extend(stream.write(b"cccc two aaaabb"));
    out.extend(stream.write(b"bb"));
    out.extend(stream.finish());
    assert_eq!(String::from_utf8(out).unwrap(), "one ‹secret late› two ‹secret n0›");
}

#[test]
fn harmless_output_is_not_held_back() {
    let masker = masker(&[&"k".repeat(4000)]);
    let mut stream = masker.stream();
    assert_eq!(stream.write(b"progress 40 %"), b"progress 40 %");
    assert_eq!(stream.write(b"\nkkk"), b"\n");
    assert_eq!(stream.write(b" done"), b"kkk done");
}

#[test]
fn many_long_secrets_are_found_too() {
    // More than the fast automaton takes.
    let secrets: Vec<String> = (0..12).map(|n| format!("{n:02}{}", "long secret text ".repeat(40))).collect();
    let masker = masker(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
    for (n, secret) in secrets.iter().enumerate() {
        assert_eq!(masker.mask(&format!("<{}>", secret.trim())), format!("<‹secret n{n}›>"));
    }
}

/// Every form that the masker knows of a secret, each cut in two and in three at every place.
#[test]
fn no_cut_lets_a_part_of_any_form_through() {
    for secret in [CANARY, "c4nary'Tok+en/\"z=Q\\w;X\u{e9}", "-----BEGIN-----\nline1/Abc+'=\\\nline2/Abc+'=\\\n"] {
        let masker = masker(&[secret]);
        for form in crate::store::mask::forms_for_tests(secret) {
            let text = [b"before ", form.as_slice(), b" after"].concat();
            let whole = pieces(&masker, &text, &[]);
            let shown = String::from_utf8_lossy(&whole).into_owned();
            assert!(shown.starts_with("before ‹secret n0›") && shown.ends_with(" after"), "{shown}");
            let left = shown.replace("‹secret n0›", "").len();
            assert!(left <= "before  after".len() + 4, "{shown}");
            for cut in 0..text.len() {
                assert_eq!(pieces(&masker, &text, &[cut]), whole, "{shown} cut at {cut}");
                assert_eq!(pieces(&masker, &text, &[cut, 1]), whole, "{shown} cut at {cut} and after it");
                assert_eq!(pieces(&masker, &text, &[cut, 9]), whole, "{shown} cut at {cut} and later");
            }
        }
    }
}

fn secret() -> impl Strategy<Value = String> {
    "[abAB12+/\n'\"\\\\ \u{e4}]{8,30}".prop_filter("too short", |text| text.trim().len() >= 8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The same bytes come out, however the stream is cut.
    #[test]
    fn cuts_make_no_difference(
        secrets in proptest::collection::vec(secret(), 1..4),
        parts in proptest::collection::vec((0_usize..8, "[abAB12+/\n'\"\\\\ \u{e4}]{0,12}"), 0..12),
        cuts in proptest::collection::vec(0_usize..40, 0..60),
    ) {
        let masker = Masker::new();
        for (index, text) in secrets.iter().enumerate() {
            masker.add(&SecretText::new(format!("n{index}"), text.as_str())).unwrap();
        }
        let mut text = String::new();
        for (which, between) in parts {
            if let Some(secret) = secrets.get(which % 4) {
                match which {
                    0..4 => text.push_str(secret),
                    _ => text.push_str(&STANDARD.encode(format!("x{secret}y"))),
                }
            }
            text.push_str(&between);
        }
        let whole = masker.mask(&text);
        for secret in &secrets {
            prop_assert!(!whole.contains(secret.as_str()), "{:?} in {:?}", secret, whole);
        }
        prop_assert_eq!(&pieces(&masker, text.as_bytes(), &cuts), whole.as_bytes());
        let single: Vec<usize> = vec![1; text.len()];
        prop_assert_eq!(&pieces(&masker, text.as_bytes(), &single), whole.as_bytes());
    }

    /// Wherever it stands in what was encoded, at most the two characters at each end are left of base64.
    #[test]
    fn base64_is_found_at_every_offset(secret in "[!-~]{8,40}", before in 0_usize..9, after in 0_usize..9) {
        let masker = Masker::new();
        prop_assume!(masker.add(&SecretText::new("n", secret.as_str())).is_ok());
        let text = format!("{}{secret}{}", "\u{1}".repeat(before), "\u{1}".repeat(after));
        for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
            let masked = masker.mask(&encoded);
            let left = masked.replace("‹secret n›", "");
            prop_assert!(left.len() <= (before + after) * 4 / 3 + 8, "{} became {}", encoded, masked);
            prop_assert!(masked.contains("‹secret n›"));
        }
    }

    /// A masker takes any text without a panic, and text without secrets unchanged.
    #[test]
    fn any_text_is_taken(secret in "\\PC{8,20}", text in "\\PC{0,60}") {
        let masker = Masker::new();
        let added = masker.add(&SecretText::new("n", secret.as_str())).is_ok();
        let masked = masker.mask(&format!("{text}{secret}{text}"));
        if added {
            prop_assert!(!masked.contains(&secret));
        }
    }
}

/// The names of fields and variants in a source text, as they stand in the record.
fn words_of(source: &str) -> Vec<String> {
    let name = regex::Regex::new(r"(?m)^ +(?:pub )?([a-z_]+): |^ +([A-Z][A-Za-z]+)(?: \{|,|\()").unwrap();
    let upper = regex::Regex::new("(.)([A-Z])").unwrap();
    let snake = |text: &str| upper.replace_all(text, "${1}_$2").to_lowercase();
    name.captures_iter(source).map(|found| snake(found.get(1).or(found.get(2)).unwrap().as_str())).collect()
}

#[test]
fn no_word_of_the_record_can_be_a_secret() {
    let words = [
        include_str!("../../event/kind.rs"),
        include_str!("../../event/outcome.rs"),
        include_str!("../../event/view.rs"),
        include_str!("../../event/card.rs"),
        include_str!("../../event/name.rs"),
    ]
    .map(words_of)
    .concat();
    assert!(words.contains(&"attempt_started".to_owned()) && words.contains(&"ran_to_end".to_owned()), "{words:?}");
    let can_be: Vec<_> = words
        .iter()
        .filter(|word| word.len() >= MASK_AT_LEAST)
        .filter(|word| Masker::new().add(&SecretText::new("n", word.as_str())).is_ok())
        .collect();
    assert!(can_be.is_empty(), "{can_be:?}");
}
