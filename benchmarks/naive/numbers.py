"""Whole numbers, as a beginner writes them."""


def primes_up_to(limit):
    primes = []
    for number in range(2, limit + 1):
        is_prime = True
        for divisor in range(2, number):
            if number % divisor == 0:
                is_prime = False
                break
        if is_prime:
            primes.append(number)
    return primes


def divisors(number):
    result = []
    for candidate in range(1, number + 1):
        if number % candidate == 0:
            result.append(candidate)
    return result


def greatest_common_divisor(a, b):
    best = 1
    for candidate in range(1, min(a, b) + 1):
        if a % candidate == 0 and b % candidate == 0:
            best = candidate
    return best


def perfect_numbers(limit):
    result = []
    for number in range(2, limit):
        total = 0
        for divisor in range(1, number):
            if number % divisor == 0:
                total = total + divisor
        if total == number:
            result.append(number)
    return result


def longest_collatz(limit):
    best = 1
    best_steps = 0
    for start in range(1, limit + 1):
        steps = 0
        number = start
        while number != 1:
            if number % 2 == 0:
                number = number // 2
            else:
                number = 3 * number + 1
            steps += 1
        if steps > best_steps:
            best = start
            best_steps = steps
    return best


def to_binary(number):
    if number == 0:
        return "0"
    digits = ""
    while number > 0:
        digits = str(number % 2) + digits
        number = number // 2
    return digits


def encrypt_numbers(messages: list[int], exponent: int, modulus: int) -> list[int]:
    result = []
    for message in messages:
        result.append(message**exponent % modulus)
    return result


def digit_sums(numbers):
    result = []
    for number in numbers:
        total = 0
        for digit in str(number):
            total += int(digit)
        result.append(total)
    return result


def pythagorean_triples(limit):
    triples = []
    for a in range(1, limit + 1):
        for b in range(a, limit + 1):
            for c in range(b, limit + 1):
                if a * a + b * b == c * c:
                    triples.append([a, b, c])
    return triples


def narcissistic_numbers(limit):
    result = []
    for number in range(limit):
        text = str(number)
        total = 0
        for digit in text:
            total += int(digit) ** len(text)
        if total == number:
            result.append(number)
    return result


def least_common_multiple(numbers):
    candidate = max(numbers)
    while True:
        fits = True
        for number in numbers:
            if candidate % number != 0:
                fits = False
        if fits:
            return candidate
        candidate += 1
