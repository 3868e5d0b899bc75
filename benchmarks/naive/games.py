"""Games, as a beginner writes them."""


def scrabble_scores(words):
    scores = []
    for word in words:
        score = 0
        for letter in word.lower():
            if letter in ["a", "e", "i", "o", "u", "l", "n", "s", "t", "r"]:
                score += 1
            elif letter in ["d", "g"]:
                score += 2
            elif letter in ["b", "c", "m", "p"]:
                score += 3
            elif letter in ["f", "h", "v", "w", "y"]:
                score += 4
            elif letter == "k":
                score += 5
            elif letter in ["j", "x"]:
                score += 8
            elif letter in ["q", "z"]:
                score += 10
        scores.append(score)
    return scores


def count_queens(size, row, columns):
    if row == size:
        return 1
    total = 0
    for column in range(size):
        safe = True
        for earlier in range(len(columns)):
            if columns[earlier] == column or abs(columns[earlier] - column) == row - earlier:
                safe = False
        if safe:
            total += count_queens(size, row + 1, columns + [column])
    return total


def mines_around(field):
    result = []
    for r in range(len(field)):
        line = ""
        for c in range(len(field[0])):
            if field[r][c] == "*":
                line += "*"
            else:
                count = 0
                for y in range(r - 1, r + 2):
                    for x in range(c - 1, c + 2):
                        if y >= 0 and y < len(field) and x >= 0 and x < len(field[0]):
                            if field[y][x] == "*":
                                count += 1
                line += str(count)
        result.append(line)
    return result


def valid_sudokus(boards):
    answers = []
    for board in boards:
        answers.append(valid_sudoku(board))
    return answers


def valid_sudoku(board):
    for i in range(9):
        row = []
        column = []
        for j in range(9):
            if board[i][j] != 0:
                if board[i][j] in row:
                    return False
                row.append(board[i][j])
            if board[j][i] != 0:
                if board[j][i] in column:
                    return False
                column.append(board[j][i])
    for top in [0, 3, 6]:
        for left in [0, 3, 6]:
            box = []
            for y in range(top, top + 3):
                for x in range(left, left + 3):
                    if board[y][x] != 0:
                        if board[y][x] in box:
                            return False
                        box.append(board[y][x])
    return True


def bulls_and_cows(secrets, guess):
    answers = []
    for secret in secrets:
        bulls = 0
        cows = 0
        for i in range(len(guess)):
            if guess[i] == secret[i]:
                bulls += 1
            elif guess[i] in secret:
                cows += 1
        answers.append([bulls, cows])
    return answers


def first_player_wins(stones):
    if stones == 0:
        return False
    for take in [1, 3, 4]:
        if take <= stones and not first_player_wins(stones - take):
            return True
    return False


def word_neighbours(words, start):
    result = []
    for word in words:
        if len(word) == len(start):
            different = 0
            for i in range(len(word)):
                if word[i] != start[i]:
                    different += 1
            if different == 1:
                result.append(word)
    return result


def dice_ways(dice, total):
    if dice == 0:
        if total == 0:
            return 1
        return 0
    ways = 0
    for face in range(1, 7):
        ways += dice_ways(dice - 1, total - face)
    return ways
