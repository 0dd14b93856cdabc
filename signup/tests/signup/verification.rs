//! Keys in a folder, and the codes derived from them.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has to stop there")]

use signup::{Keys, verification::KeysError};
use std::{fs, path::Path};
use uuid::Uuid;

fn write(folder: &Path, name: &str, key: &[u8]) {
    fs::write(folder.join(name), key).unwrap();
}

#[test]
fn a_code_is_the_same_each_time_and_differs_by_intent_and_by_key() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "current", &[1; 32]);
    write(folder.path(), "old", &[2; 40]);
    let keys = Keys::load(folder.path()).unwrap();
    let (intent, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let code = keys.current_code(intent);
    assert_eq!(Some(&code), Keys::load(folder.path()).unwrap().code(keys.current_id(), intent).as_ref());
    assert_ne!(code, keys.current_code(other));
    assert_eq!(code.as_str().len(), 32);
    assert!(code.as_str().bytes().all(|letter| letter.is_ascii_lowercase()), "{}", code.as_str());

    // Rotation: the old key becomes `current` elsewhere, and its id stays the same.
    let before = tempfile::tempdir().unwrap();
    write(before.path(), "current", &[2; 40]);
    let before = Keys::load(before.path()).unwrap();
    assert_eq!(keys.code(before.current_id(), intent), Some(before.current_code(intent)));
    assert_ne!(before.current_code(intent), code);
    assert_eq!(keys.code("ffffffff", intent), None);
}

#[test]
fn codes_use_the_whole_alphabet_evenly_in_every_place() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "current", b"a key of thirty-two bytes or more");
    let keys = Keys::load(folder.path()).unwrap();
    let codes: Vec<_> = (0..2600u128).map(|number| keys.current_code(Uuid::from_u128(number))).collect();
    for place in 0..32 {
        for letter in b'a'..=b'z' {
            let seen = codes.iter().filter(|code| code.as_str().as_bytes()[place] == letter).count();
            // Binomial with mean 100 and deviation 9.8; the input is fixed, so the result is too.
            assert!((50..=150).contains(&seen), "{} came {seen} times in place {place}", letter as char);
        }
    }
}

#[test]
fn line_breaks_at_the_end_of_a_key_file_do_not_count_and_links_of_kubernetes_are_skipped() {
    let (plain, mounted) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(plain.path(), "current", &[b'k'; 32]);
    write(mounted.path(), "current", &[&[b'k'; 32][..], b"\r\n"].concat());
    write(mounted.path(), "..data", b"short");
    fs::create_dir(mounted.path().join("..2026_01_01")).unwrap();
    fs::create_dir(mounted.path().join("folder")).unwrap();
    let (plain, mounted) = (Keys::load(plain.path()).unwrap(), Keys::load(mounted.path()).unwrap());
    assert_eq!(plain.current_code(Uuid::nil()), mounted.current_code(Uuid::nil()));
}

#[test]
fn a_folder_that_cannot_be_used_is_named_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Keys::load(&folder.path().join("absent")), Err(KeysError::Read { .. })));
    let error = Keys::load(folder.path()).unwrap_err();
    assert!(matches!(error, KeysError::NoCurrent { .. }));
    assert!(error.to_string().contains("current is missing; write at least 32 random bytes"), "{error}");
    write(folder.path(), "current", &[1; 31]);
    let error = Keys::load(folder.path()).unwrap_err();
    assert!(matches!(error, KeysError::TooShort { bytes: 31, .. }), "{error}");
}

#[test]
fn nothing_secret_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "current", &[b'k'; 32]);
    let keys = Keys::load(folder.path()).unwrap();
    let code = keys.current_code(Uuid::nil());
    let printed = format!("{keys:?} {code:?}");
    assert!(!printed.contains(code.as_str()) && !printed.contains("kkk") && !printed.contains("107"), "{printed}");
}
