//! What tokens cost, in whatever currency the prices are given in.

use std::fmt;

/// Millionths of a unit of the currency.
const SCALE: u64 = 1_000_000;

/// Prices of tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prices {
    /// Of a million tokens of requests.
    pub input: Money,
    /// Of a million tokens of answers.
    pub output: Money,
}

impl Prices {
    /// What so many tokens of a request and of its answer cost.
    pub fn of(&self, (input, output): (u64, u64)) -> Money {
        let part = |tokens: u64, price: Money| u128::from(tokens).saturating_mul(price.0) / u128::from(SCALE);
        Money(part(input, self.input).saturating_add(part(output, self.output)))
    }
}

/// An amount of money, exact to a millionth of a millionth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(u128);

impl Money {
    /// Reads a decimal such as `0.50`, with at most six digits behind the point.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Money, String> {
        let wrong =
            || format!("{text:?} is no amount such as 0.50 (at most nine digits before the point, six behind it)");
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str, most: usize| (1..=most).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 9) || !digits(part, 6) {
            return Err(wrong());
        }
        let millionths: u128 = format!("{whole}{part:0<6}").parse().map_err(|_| wrong())?;
        Ok(Money(millionths * u128::from(SCALE)))
    }

    /// Both together.
    pub fn plus(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }

    /// In units of the currency, for records.
    pub fn units(self) -> f64 {
        // Records are read by people: a millionth is fine enough.
        (self.0 / u128::from(SCALE)) as f64 / SCALE as f64
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.units())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        let of = |text: &str| Money::parse(text).map(|m| m.to_string());
        assert_eq!(of("3"), Ok("3".into()));
        assert_eq!(of("0.50"), Ok("0.5".into()));
        assert_eq!(of("123456789.000001"), Ok("123456789.000001".into()));
        for bad in ["", ".", "1.", ".5", "-1", "1e3", "1,5", "1234567890", "0.1234567", " 1"] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn single_tokens_are_not_lost_in_rounding() {
        let prices = Prices {
            input: Money::parse("0.1").unwrap(),
            output: Money::parse("15").unwrap(),
        };
        let each = prices.of((1, 0));
        let sum = (0..1_000_000).fold(Money::default(), |sum, _| sum.plus(each));
        assert_eq!(sum, Money::parse("0.1").unwrap());
        assert_eq!(prices.of((2_000_000, 100_000)).to_string(), "1.7");
    }
}
