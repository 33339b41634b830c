//! Rotary positions (Su et al. 2021, eq. 34), with the halves of a head apart, as Llama has them.

/// Turns each pair of numbers, one from each half of a head, by its angle.
///
/// # Shapes
///
/// - rows `[batch, tokens, heads, d_head]`
/// - cosines, sines `[tokens, d_head / 2]`; sines of the opposite sign turn back
pub fn rotate(rows: &mut [f32], cosines: &[f32], sines: &[f32], [tokens, heads, d_head]: [usize; 3]) {
    let half = d_head / 2;
    assert!(d_head.is_multiple_of(2), "a head of {d_head} numbers has no halves");
    assert_eq!([cosines.len(), sines.len()], [tokens * half; 2], "angles of {tokens} tokens with {half} pairs");
    assert!(rows.len().is_multiple_of((tokens * heads * d_head).max(1)), "{} numbers of such tokens", rows.len());
    for (row, at) in rows.chunks_exact_mut((heads * d_head).max(1)).zip((0..tokens).cycle()) {
        let (cosines, sines) = (&cosines[at * half..][..half], &sines[at * half..][..half]);
        for head in row.chunks_exact_mut(d_head) {
            let (low, high) = head.split_at_mut(half);
            for (((a, b), cosine), sine) in low.iter_mut().zip(high).zip(cosines).zip(sines) {
                (*a, *b) = (*a * cosine - *b * sine, *b * cosine + *a * sine);
            }
        }
    }
}
