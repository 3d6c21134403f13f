"""An auction as one would explain it: sorted lists, one participant at a time, Python floats."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Ticket:
    """One participant of one auction."""

    agent: int
    item: int
    item_value: float
    ctr: float
    best: float
    bid: float
    price: float = 0.0
    second_price: float = 0.0
    spend: float = 0.0
    click: int = 0
    won: bool = False


def clear(bids, num_slots, first_price, floor, sell_all):
    """(winner, price, second price) per filled slot."""
    ranked = sorted((-bid, place) for place, bid in enumerate(bids) if bid >= floor)
    sales = []
    for slot, (negative_bid, place) in enumerate(ranked[:num_slots]):
        below = [-negative for negative, _ in ranked[slot + 1 : slot + 2]]
        if not below and not sell_all:
            break
        next_bid = below[0] if below else floor
        sales.append((place, -negative_bid if first_price else next_bid, next_bid))
    return sales


def make_ticket(agent, weights, item_values, context, gamma):
    ctrs = [1.0 / (1.0 + math.exp(-sum(w * x for w, x in zip(row, [*context, 1.0], strict=True)))) for row in weights]
    worths = [v * p for v, p in zip(item_values, ctrs, strict=True)]
    item = worths.index(max(worths))
    return Ticket(agent, item, item_values[item], ctrs[item], max(worths), item_values[item] * ctrs[item] * gamma)


def settle(tickets, num_slots, first_price, compat, click_noise):
    """Plays one auction in place, slot by slot, telling each participant every price."""
    sales = clear([t.bid for t in tickets], num_slots, first_price, -math.inf if compat else 0.0, sell_all=not compat)
    for slot, (winner, price, second_price) in enumerate(sales):
        for place, ticket in enumerate(tickets):
            if place == winner:
                ticket.price, ticket.second_price, ticket.spend, ticket.won = price, second_price, price, True
                ticket.click = int(click_noise[slot] < ticket.ctr)
            elif compat or not ticket.won:
                ticket.price = price
    return sales
