"""All rules, in the order they are tried where all else is equal. Pure.

Of two rules that may fire at one place the one that takes the larger step comes first.
"""

from __future__ import annotations

from optiloop.proposers.rewrite import (
    accumulate,
    arithmetic,
    characters,
    invariants,
    library,
    lookups,
    mirrors,
    queues,
    recursion,
    scans,
    searching,
    selection,
    sorting,
)
from optiloop.proposers.rewrite.rule import Effect, Rule

RULES: tuple[Rule, ...] = (
    Rule("memoise", Effect.ALGORITHMIC, recursion.memoise),
    Rule("sort-swaps", Effect.ALGORITHMIC, sorting.sort_swaps),
    Rule("repeated-selection", Effect.ALGORITHMIC, selection.repeated_selection),
    Rule("take-extreme", Effect.ALGORITHMIC, selection.take_extreme),
    Rule("dedupe-loop", Effect.ALGORITHMIC, accumulate.dedupe_loop),
    Rule("scan-grown-list", Effect.ALGORITHMIC, scans.grown_list_scan),
    Rule("join-by-scan", Effect.ALGORITHMIC, scans.join_by_scan),
    Rule("join-in-comprehension", Effect.ALGORITHMIC, scans.join_in_comprehension),
    Rule("list-count", Effect.ALGORITHMIC, lookups.list_count),
    Rule("list-index", Effect.ALGORITHMIC, lookups.list_index),
    Rule("list-membership", Effect.ALGORITHMIC, lookups.list_membership),
    Rule("contained-in-copy", Effect.ALGORITHMIC, library.contained_in_copy),
    Rule("consume-in-order", Effect.ALGORITHMIC, queues.consume_in_order),
    Rule("list-as-queue", Effect.ALGORITHMIC, queues.list_as_queue),
    Rule("insert-at-front", Effect.ALGORITHMIC, queues.insert_at_front),
    Rule("grow-in-place", Effect.ALGORITHMIC, queues.grow_in_place),
    Rule("prepend-text", Effect.ALGORITHMIC, queues.prepend_text),
    Rule("prefix-loop", Effect.ALGORITHMIC, invariants.prefix_loop),
    Rule("prefix-sums", Effect.ALGORITHMIC, invariants.prefix_sums),
    Rule("running-sum", Effect.ALGORITHMIC, invariants.running_sum),
    Rule("hoist-invariant", Effect.ALGORITHMIC, invariants.hoist_invariant),
    Rule("split-characters", Effect.ALGORITHMIC, characters.split_by_characters),
    Rule("map-characters", Effect.ALGORITHMIC, characters.map_characters),
    Rule("reverse-by-loop", Effect.ALGORITHMIC, mirrors.reverse_by_loop),
    Rule("find-positions", Effect.ALGORITHMIC, searching.find_positions),
    Rule("compare-characters", Effect.ALGORITHMIC, searching.compare_characters),
    Rule("mirror-by-loop", Effect.CONSTANT, mirrors.mirror_by_loop),
    Rule("trial-division", Effect.ALGORITHMIC, arithmetic.trial_division),
    Rule("divisor-pairs", Effect.ALGORITHMIC, arithmetic.divisor_pairs),
    Rule("modular-power", Effect.ALGORITHMIC, arithmetic.modular_power),
    Rule("cheaper-call", Effect.ALGORITHMIC, library.cheaper_call),
    Rule("count-loop", Effect.CONSTANT, accumulate.count_loop),
    Rule("plain-regex", Effect.CONSTANT, invariants.plain_regex),
    Rule("hoist-regex", Effect.CONSTANT, invariants.hoist_regex),
    Rule("join-pieces", Effect.CONSTANT, accumulate.join_pieces),
    Rule("join-generator", Effect.CONSTANT, accumulate.join_generator),
    Rule("sum-loop", Effect.CONSTANT, accumulate.sum_loop),
    Rule("append-loop", Effect.CONSTANT, accumulate.append_loop),
    Rule("while-to-range", Effect.CONSTANT, accumulate.while_to_range),
    Rule("direct-iteration", Effect.CONSTANT, accumulate.direct_iteration),
    Rule("digit-sum", Effect.CONSTANT, arithmetic.digit_sum),
)
