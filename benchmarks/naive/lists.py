"""Lists, as a beginner writes them."""


def flatten(rows):
    result = []
    for row in rows:
        result = result + row
    return result


def rotate(items, steps):
    for _ in range(steps):
        first = items.pop(0)
        items.append(first)
    return items


def merge_sorted(first, second):
    result = []
    while first and second:
        if first[0] <= second[0]:
            result.append(first.pop(0))
        else:
            result.append(second.pop(0))
    return result + first + second


def has_pair_with_sum(numbers, target):
    for i in range(len(numbers)):
        for j in range(i + 1, len(numbers)):
            if numbers[i] + numbers[j] == target:
                return True
    return False


def common_items(first, second):
    result = []
    for item in first:
        if item in second and item not in result:
            result.append(item)
    return result


def running_totals(numbers):
    totals = []
    for i in range(len(numbers)):
        totals.append(sum(numbers[: i + 1]))
    return totals


def count_inversions(numbers):
    count = 0
    for i in range(len(numbers)):
        for j in range(i + 1, len(numbers)):
            if numbers[i] > numbers[j]:
                count += 1
    return count


def best_slice_sum(numbers):
    best = numbers[0]
    for start in range(len(numbers)):
        for end in range(start + 1, len(numbers) + 1):
            total = sum(numbers[start:end])
            if total > best:
                best = total
    return best


def majority(items):
    for item in items:
        if items.count(item) > len(items) / 2:
            return item
    return None


def sliding_maximum(numbers, width):
    result = []
    for i in range(len(numbers) - width + 1):
        window = numbers[i : i + width]
        biggest = window[0]
        for number in window:
            if number > biggest:
                biggest = number
        result.append(biggest)
    return result


def selection_sort(numbers):
    for i in range(len(numbers)):
        smallest = i
        for j in range(i + 1, len(numbers)):
            if numbers[j] < numbers[smallest]:
                smallest = j
        numbers[i], numbers[smallest] = numbers[smallest], numbers[i]
    return numbers


def group_by_length(words):
    groups = {}
    for word in words:
        size = str(len(word))
        if size not in groups.keys():
            groups[size] = []
        groups[size] = groups[size] + [word]
    return groups


def smallest_three(numbers):
    result = []
    copy = numbers[:]
    for _ in range(3):
        if len(copy) > 0:
            low = min(copy)
            result.append(low)
            copy.remove(low)
    return result
