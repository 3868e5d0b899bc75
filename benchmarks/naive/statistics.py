"""Statistics of whole numbers, as a beginner writes them."""


def mode(numbers):
    best = numbers[0]
    for number in numbers:
        if numbers.count(number) > numbers.count(best):
            best = number
    return best


def variance(numbers):
    total = 0
    for number in numbers:
        mean = sum(numbers) / len(numbers)
        total += (number - mean) ** 2
    return round(total / len(numbers), 4)


def histogram(numbers, width):
    counts = []
    for bucket in range(max(numbers) // width + 1):
        count = 0
        for number in numbers:
            if number // width == bucket:
                count += 1
        counts.append(count)
    return counts


def ranks(scores):
    result = []
    for score in scores:
        ordered = sorted(scores, reverse=True)
        result.append(ordered.index(score) + 1)
    return result


def moving_average(numbers, width):
    averages = []
    for i in range(len(numbers) - width + 1):
        total = 0
        for j in range(i, i + width):
            total += numbers[j]
        averages.append(round(total / width, 4))
    return averages


def median_of_each(rows):
    medians = []
    for row in rows:
        swapped = True
        while swapped:
            swapped = False
            for i in range(len(row) - 1):
                if row[i] > row[i + 1]:
                    row[i], row[i + 1] = row[i + 1], row[i]
                    swapped = True
        middle = len(row) // 2
        if len(row) % 2 == 1:
            medians.append(row[middle])
        else:
            medians.append((row[middle - 1] + row[middle]) / 2)
    return medians


def closest_pair_distance(points):
    best = -1
    for i in range(len(points)):
        for j in range(len(points)):
            if i != j:
                distance = (points[i][0] - points[j][0]) ** 2 + (points[i][1] - points[j][1]) ** 2
                if best == -1 or distance < best:
                    best = distance
    return best


def above_average(numbers):
    return [number for number in numbers if number > sum(numbers) / len(numbers)]
