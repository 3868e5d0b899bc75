"""Recursion, as a beginner writes it."""


def fibonacci(n):
    if n < 2:
        return n
    return fibonacci(n - 1) + fibonacci(n - 2)


def ways_up_the_stairs(steps: int) -> int:
    if steps < 0:
        return 0
    if steps == 0:
        return 1
    return ways_up_the_stairs(steps - 1) + ways_up_the_stairs(steps - 2) + ways_up_the_stairs(steps - 3)


def binomial(n, k):
    if k == 0 or k == n:
        return 1
    return binomial(n - 1, k - 1) + binomial(n - 1, k)


def can_make_sum(numbers, target):
    if target == 0:
        return True
    if len(numbers) == 0:
        return False
    return can_make_sum(numbers[1:], target) or can_make_sum(numbers[1:], target - numbers[0])


def ways_to_change(amount, coins):
    if amount == 0:
        return 1
    if amount < 0 or len(coins) == 0:
        return 0
    return ways_to_change(amount - coins[0], coins) + ways_to_change(amount, coins[1:])


def hanoi(discs, source, spare, target):
    if discs == 0:
        return []
    moves = hanoi(discs - 1, source, target, spare)
    moves = moves + [source + target]
    return moves + hanoi(discs - 1, spare, source, target)


def permutations(items):
    if len(items) <= 1:
        return [items]
    result = []
    for i in range(len(items)):
        rest = items[:i] + items[i + 1 :]
        for permutation in permutations(rest):
            result.append([items[i]] + permutation)
    return result


def longest_common_subsequence(first: str, second: str) -> int:
    if first == "" or second == "":
        return 0
    if first[0] == second[0]:
        return 1 + longest_common_subsequence(first[1:], second[1:])
    return max(
        longest_common_subsequence(first[1:], second),
        longest_common_subsequence(first, second[1:]),
    )


def sum_nested(data):
    total = 0
    for item in data:
        if type(item) == list:
            total += sum_nested(item)
        else:
            total += item
    return total
