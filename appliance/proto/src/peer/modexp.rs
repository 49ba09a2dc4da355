//! Powers modulo the 768-bit prime of MSE/PE, in Montgomery form; 160-bit exponents.
//!
//! Ours instead of a big-number crate: one modulus, one exponent size, 100 lines. It makes no attempt at constant time:
//! MSE is obfuscation, its keys live for one handshake.

/// Little-endian limbs.
type Number = [u64; 12];

/// The prime: the first Oakley group's with a different last word, as MSE/PE fixes it.
const PRIME: Number = [
    0x0000_0000_0009_0563,
    0xf44c_42e9_a63a_3621,
    0xe485_b576_625e_7ec6,
    0x4fe1_356d_6d51_c245,
    0x302b_0a6d_f25f_1437,
    0xef95_19b3_cd3a_431b,
    0x514a_0879_8e34_04dd,
    0x020b_bea6_3b13_9b22,
    0x2902_4e08_8a67_cc74,
    0xc4c6_628b_80dc_1cd1,
    0xc90f_daa2_2168_c234,
    0xffff_ffff_ffff_ffff,
];

/// -PRIME⁻¹ mod 2^64.
const NEGATED_INVERSE: u64 = 0x6d5d_6e69_9507_5bb5;

/// 2^1536 mod PRIME: brings a number into Montgomery form.
const R_SQUARED: Number = [
    0x95f0_1940_4628_1a8e,
    0xff0c_a2a3_d838_c985,
    0x6d9f_1759_93af_6d83,
    0xd4c8_5168_a99a_751f,
    0x3423_ecee_2ddc_6158,
    0xd515_b23c_d4ac_e6dd,
    0x112c_e562_82e5_1749,
    0x3361_bff3_3a35_e04b,
    0xafbc_0835_54e8_5ee3,
    0xa95d_0ecb_c567_9266,
    0x8d00_1cb9_8c6f_28c7,
    0xa613_0c9d_54da_3d53,
];

const ONE: Number = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The generator, as the wire writes it.
pub fn generator() -> [u8; 96] {
    let mut two = [0; 96];
    two[95] = 2;
    two
}

/// base^exponent mod the prime, all big-endian. `None` when `base` is not in 2..=prime−2: such a key would make the shared
/// secret known to everyone.
pub fn power(base: &[u8; 96], exponent: &[u8; 20]) -> Option<[u8; 96]> {
    let base = from_bytes(base);
    let mut largest = PRIME;
    largest[0] -= 1;
    if !less(&ONE, &base) || !less(&base, &largest) {
        return None;
    }
    let base = multiply(&base, &R_SQUARED);
    let mut result = multiply(&ONE, &R_SQUARED);
    for byte in exponent {
        for bit in (0..8).rev() {
            result = multiply(&result, &result);
            if byte >> bit & 1 == 1 {
                result = multiply(&result, &base);
            }
        }
    }
    Some(to_bytes(&multiply(&result, &ONE)))
}

/// a·b·2^-768 mod PRIME (CIOS); both below the prime.
fn multiply(a: &Number, b: &Number) -> Number {
    let mut t = [0u64; 14];
    for &limb in b {
        let mut carry = 0;
        for i in 0..12 {
            (t[i], carry) = add_product(t[i], a[i], limb, carry);
        }
        (t[12], t[13]) = add_product(t[12], carry, 1, 0);
        let m = t[0].wrapping_mul(NEGATED_INVERSE);
        let (_, mut carry) = add_product(t[0], m, PRIME[0], 0);
        for i in 1..12 {
            (t[i - 1], carry) = add_product(t[i], m, PRIME[i], carry);
        }
        let (low, high) = add_product(t[12], carry, 1, 0);
        t[11] = low;
        // The running value stays below twice the prime, so this never overflows.
        t[12] = t[13].wrapping_add(high);
    }
    let mut result: Number = [0; 12];
    result.copy_from_slice(&t[..12]);
    if t[12] != 0 || !less(&result, &PRIME) {
        subtract_prime(&mut result);
    }
    result
}

/// (low, high) of sum + a·b + carry; fits 128 bits.
fn add_product(sum: u64, a: u64, b: u64, carry: u64) -> (u64, u64) {
    let wide = u128::from(sum) + u128::from(a) * u128::from(b) + u128::from(carry);
    (wide as u64, (wide >> 64) as u64)
}

fn less(a: &Number, b: &Number) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

fn subtract_prime(a: &mut Number) {
    let mut borrow = false;
    for (limb, prime) in a.iter_mut().zip(PRIME) {
        let (low, under) = limb.overflowing_sub(prime);
        let (low, again) = low.overflowing_sub(u64::from(borrow));
        *limb = low;
        borrow = under || again;
    }
}

fn from_bytes(bytes: &[u8; 96]) -> Number {
    let mut number = [0; 12];
    for (limb, chunk) in number.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = chunk
            .first_chunk::<8>()
            .map_or(0, |chunk| u64::from_be_bytes(*chunk));
    }
    number
}

fn to_bytes(number: &Number) -> [u8; 96] {
    let mut bytes = [0; 96];
    for (limb, chunk) in number.iter().rev().zip(bytes.chunks_exact_mut(8)) {
        chunk.copy_from_slice(&limb.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exponent(first: u8) -> [u8; 20] {
        std::array::from_fn(|i| first + i as u8)
    }

    /// Both numbers come from Python's `pow`.
    #[test]
    fn powers_match_an_independent_calculation() {
        let public = power(&generator(), &exponent(1)).expect("in range");
        assert_eq!(
            data_encoding::HEXLOWER.encode(&public),
            "96e112dab29e8c5272accb9b17b26887ce54a144a4e3b697c7d159b7a817e556b0918db2b4c658e02a87f7e5fb14b18a553e084cbf3dad2d\
             30f16596ccb982d406258c61b30c5c1dae2ddc60bdbd48d79896312aad63238c39e1a633821eb693"
        );
        let secret = power(&public, &exponent(101)).expect("in range");
        assert_eq!(
            data_encoding::HEXLOWER.encode(&secret),
            "d05ed96a95215a89b44073afe5d0b1626289ac01cff7849392948b2470b346547e944d7562a897ae86976bc389999083ec09572dbdc8ed7f\
             6a0a86a1aa42a3ca04209b72d8239890360435640643b76479ed7836f1857963fcc7cb72084c3ab4"
        );
    }

    #[test]
    fn keys_that_give_the_secret_away_are_refused() {
        let mut below = PRIME;
        below[0] -= 1;
        for trivial in [
            [0; 96],
            to_bytes(&ONE),
            to_bytes(&below),
            to_bytes(&PRIME),
            [0xff; 96],
        ] {
            assert_eq!(power(&trivial, &exponent(1)), None);
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(32))]
        #[test]
        fn both_sides_get_the_same_secret(a in proptest::array::uniform20(1u8..), b in proptest::array::uniform20(1u8..)) {
            let (ya, yb) = (power(&generator(), &a).expect("a"), power(&generator(), &b).expect("b"));
            proptest::prop_assert_eq!(power(&yb, &a), power(&ya, &b));
        }
    }
}
