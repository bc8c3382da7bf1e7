#![no_main]

libfuzzer_sys::fuzz_target!(
    init: pushwatch_fuzz::begin(),
    |input: &[u8]| pushwatch_fuzz::targets::expression::check(input)
);
