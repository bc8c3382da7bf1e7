#![no_main]

libfuzzer_sys::fuzz_target!(
    init: pushwatch_fuzz::begin(),
    |input: &[u8]| pushwatch_fuzz::targets::finding::check(input)
);

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    pushwatch_fuzz::json_mutator::mutate(data, size, max_size, seed)
});
