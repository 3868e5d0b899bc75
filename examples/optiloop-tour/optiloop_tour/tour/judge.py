"""How long the round trip is, in the order of order.txt. With --check: whether each place is in it once."""

import math
import sys
from pathlib import Path

PLACES = dict(
    zip(
        ["Ash", "Bay", "Box", "Elm", "Fig", "Fir", "Gum", "Ivy", "Nut", "Oak", "Tea", "Yew"],
        ((math.cos(angle) * 50, math.sin(angle) * 30) for angle in (0, 7, 2, 9, 4, 11, 6, 1, 8, 3, 10, 5)),
        strict=True,
    )
)


def main() -> None:
    order = Path("order.txt").read_text().split()
    if sorted(order) != sorted(PLACES):
        sys.exit("order.txt must name each place once")
    if "--check" not in sys.argv:
        legs = zip(order, [*order[1:], order[0]], strict=True)
        print(f"round trip: {sum(math.dist(PLACES[a], PLACES[b]) for a, b in legs):.3f} km")


if __name__ == "__main__":
    main()
