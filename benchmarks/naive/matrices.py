"""Matrices of whole numbers, as a beginner writes them."""


def multiply(a, b):
    result = []
    for i in range(len(a)):
        row = []
        for j in range(len(b[0])):
            total = 0
            for k in range(len(b)):
                total += a[i][k] * b[k][j]
            row.append(total)
        result.append(row)
    return result


def transpose(matrix):
    result = []
    for column in range(len(matrix[0])):
        new = []
        for row in range(len(matrix)):
            new.append(matrix[row][column])
        result.append(new)
    return result


def determinant(matrix):
    if len(matrix) == 1:
        return matrix[0][0]
    total = 0
    for column in range(len(matrix)):
        smaller = []
        for row in matrix[1:]:
            smaller.append(row[:column] + row[column + 1 :])
        sign = (-1) ** column
        total += sign * matrix[0][column] * determinant(smaller)
    return total


def spiral(matrix):
    result = []
    while matrix:
        result += matrix.pop(0)
        turned = []
        if matrix:
            for column in range(len(matrix[0]) - 1, -1, -1):
                new = []
                for row in matrix:
                    new.append(row[column])
                turned.append(new)
        matrix = turned
    return result


def is_magic_square(square):
    size = len(square)
    seen = []
    for row in square:
        for number in row:
            if number in seen:
                return False
            seen.append(number)
    target = sum(square[0])
    for row in square:
        if sum(row) != target:
            return False
    for column in range(size):
        total = 0
        for row in range(size):
            total += square[row][column]
        if total != target:
            return False
    diagonal = 0
    other = 0
    for i in range(size):
        diagonal += square[i][i]
        other += square[i][size - 1 - i]
    return diagonal == target and other == target


def region_sums(matrix, regions):
    result = []
    for top, left, bottom, right in regions:
        total = 0
        for row in range(top, bottom):
            for column in range(left, right):
                total += matrix[row][column]
        result.append(total)
    return result


def saddle_points(matrix):
    points = []
    for i in range(len(matrix)):
        for j in range(len(matrix[0])):
            column = [row[j] for row in matrix]
            if matrix[i][j] == max(matrix[i]) and matrix[i][j] == min(column):
                points.append([i, j])
    return points
