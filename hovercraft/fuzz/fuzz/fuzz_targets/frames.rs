#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = hovercraft_fuzz::frames::frames(bytes);
});
