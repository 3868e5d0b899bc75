"""Reading texts, as a beginner writes it."""


def parse_csv_line(line):
    fields = []
    field = ""
    quoted = False
    for character in line:
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            fields.append(field)
            field = ""
        else:
            field += character
    fields.append(field)
    return fields


def count_levels(lines):
    counts = {}
    for line in lines:
        level = line.split(" ")[1]
        if level in counts.keys():
            counts[level] = counts[level] + 1
        else:
            counts[level] = 1
    return counts


def parse_query(text):
    result = {}
    while text != "":
        pair = ""
        while text != "" and text[0] != "&":
            pair += text[0]
            text = text[1:]
        text = text[1:]
        if "=" in pair:
            name, value = pair.split("=", 1)
            result[name] = value
    return result


def is_balanced(text):
    stack = []
    for character in text:
        if character in ["(", "[", "{"]:
            stack.insert(0, character)
        if character in [")", "]", "}"]:
            if len(stack) == 0:
                return False
            opening = stack.pop(0)
            if opening + character not in ["()", "[]", "{}"]:
                return False
    return len(stack) == 0


def evaluate_postfix(text):
    stack = []
    for token in text.split():
        if token == "+":
            b = stack.pop()
            a = stack.pop()
            stack.append(a + b)
        elif token == "-":
            b = stack.pop()
            a = stack.pop()
            stack.append(a - b)
        elif token == "*":
            b = stack.pop()
            a = stack.pop()
            stack.append(a * b % 1000003)
        else:
            stack.append(int(token))
    return stack[0]


def roman_to_numbers(numerals):
    letters = ["I", "V", "X", "L", "C", "D", "M"]
    values = [1, 5, 10, 50, 100, 500, 1000]
    result = []
    for numeral in numerals:
        total = 0
        for i in range(len(numeral)):
            value = values[letters.index(numeral[i])]
            if i + 1 < len(numeral) and values[letters.index(numeral[i + 1])] > value:
                total -= value
            else:
                total += value
        result.append(total)
    return result


def strip_tags(text):
    result = ""
    inside = False
    for i in range(len(text)):
        if text[i] == "<":
            inside = True
        elif text[i] == ">":
            inside = False
        elif not inside:
            result = result + text[i]
    return result


def unique_visitors(lines):
    seen = []
    for line in lines:
        address = line.split()[0]
        if address not in seen:
            seen.append(address)
    return len(seen)


def join_fields(rows):
    text = ""
    for row in rows:
        line = ""
        for field in row:
            if line != "":
                line = line + ";"
            line = line + str(field)
        text = text + line + "\n"
    return text
