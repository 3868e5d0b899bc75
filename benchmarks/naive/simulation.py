"""Simulations, as a beginner writes them."""


def game_of_life(cells, generations):
    for _ in range(generations):
        new = []
        for r in range(len(cells)):
            row = []
            for c in range(len(cells[0])):
                alive = 0
                for dr in [-1, 0, 1]:
                    for dc in [-1, 0, 1]:
                        if dr != 0 or dc != 0:
                            y = r + dr
                            x = c + dc
                            if 0 <= y < len(cells) and 0 <= x < len(cells[0]):
                                alive += cells[y][x]
                if alive == 3 or (alive == 2 and cells[r][c] == 1):
                    row.append(1)
                else:
                    row.append(0)
            new.append(row)
        cells = new
    return cells


def josephus(people, step):
    circle = []
    for person in range(people):
        circle.append(person)
    while len(circle) > 1:
        for _ in range(step - 1):
            circle.append(circle.pop(0))
        circle.pop(0)
    return circle[0]


def waiting_times(arrivals, durations):
    times = []
    for i in range(len(arrivals)):
        free = 0
        for j in range(i):
            free = max(free, arrivals[j]) + durations[j]
        times.append(max(0, free - arrivals[i]))
    return times


def langtons_ant(steps):
    black = []
    x, y = 0, 0
    dx, dy = 0, 1
    for _ in range(steps):
        if [x, y] in black:
            black.remove([x, y])
            dx, dy = -dy, dx
        else:
            black.append([x, y])
            dx, dy = dy, -dx
        x += dx
        y += dy
    return len(black)


def compound_interest(amount, rate, years):
    balance = amount
    history = []
    for year in range(years):
        balance = balance + balance * rate / 100
        history.append(round(balance, 2))
    return history


def bounce(width, height, steps):
    x, y, dx, dy = 0, 0, 1, 1
    visits = {}
    for _ in range(steps):
        if x + dx < 0 or x + dx >= width:
            dx = -dx
        if y + dy < 0 or y + dy >= height:
            dy = -dy
        x = x + dx
        y = y + dy
        key = str(x) + "," + str(y)
        if key in visits:
            visits[key] = visits[key] + 1
        else:
            visits[key] = 1
    return max(visits.values())
