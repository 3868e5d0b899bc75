"""Graphs as lists of neighbours or of edges, as a beginner writes them."""


def shortest_path_length(neighbours, start, goal):
    queue = [[start, 0]]
    visited = [start]
    while queue:
        node, distance = queue.pop(0)
        if node == goal:
            return distance
        for other in neighbours[node]:
            if other not in visited:
                visited.append(other)
                queue.append([other, distance + 1])
    return -1


def count_components(size, edges):
    group = list(range(size))
    for a, b in edges:
        if group[a] != group[b]:
            old = group[a]
            new = group[b]
            for i in range(size):
                if group[i] == old:
                    group[i] = new
    different = []
    for number in group:
        if number not in different:
            different.append(number)
    return len(different)


def dijkstra(size, edges, start):
    distances = [1000000000] * size
    distances[start] = 0
    done = []
    while len(done) < size:
        nearest = -1
        for node in range(size):
            if node not in done:
                if nearest == -1 or distances[node] < distances[nearest]:
                    nearest = node
        done.append(nearest)
        for a, b, length in edges:
            if a == nearest and distances[a] + length < distances[b]:
                distances[b] = distances[a] + length
    return distances


def count_routes(neighbours, start, goal):
    if start == goal:
        return 1
    total = 0
    for other in neighbours[start]:
        total += count_routes(neighbours, other, goal)
    return total


def degrees(size, edges):
    result = []
    for node in range(size):
        count = 0
        for edge in edges:
            if node in edge:
                count += 1
        result.append(count)
    return result


def mutual_friends(friends):
    pairs = []
    for person in friends:
        for other in friends:
            if person < other:
                shared = 0
                for friend in friends[person]:
                    if friend in friends[other]:
                        shared += 1
                if shared >= 3:
                    pairs.append([person, other])
    return sorted(pairs)


def topological_order(size, edges):
    order = []
    while len(order) < size:
        for node in range(size):
            if node in order:
                continue
            ready = True
            for before, after in edges:
                if after == node and before not in order:
                    ready = False
            if ready:
                order.append(node)
                break
    return order
