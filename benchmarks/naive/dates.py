"""Dates, as a beginner writes them."""


def is_leap(year):
    if year % 400 == 0:
        return True
    if year % 100 == 0:
        return False
    return year % 4 == 0


def days_in_month(year, month):
    if month in [4, 6, 9, 11]:
        return 30
    if month == 2:
        if is_leap(year):
            return 29
        return 28
    return 31


def day_number(year, month, day):
    total = 0
    for y in range(1, year):
        if is_leap(y):
            total += 366
        else:
            total += 365
    for m in range(1, month):
        total += days_in_month(year, m)
    return total + day


def days_between(first, second):
    year, month, day = first
    count = 0
    while [year, month, day] != second:
        day += 1
        if day > days_in_month(year, month):
            day = 1
            month += 1
            if month > 12:
                month = 1
                year += 1
        count += 1
    return count


def fridays_the_thirteenth(start, end):
    count = 0
    for year in range(start, end + 1):
        for month in range(1, 13):
            if day_number(year, month, 13) % 7 == 5:
                count += 1
    return count


def sort_dates(dates):
    for i in range(len(dates)):
        for j in range(len(dates) - 1):
            a = dates[j].split("/")
            b = dates[j + 1].split("/")
            if [int(a[2]), int(a[1]), int(a[0])] > [int(b[2]), int(b[1]), int(b[0])]:
                dates[j], dates[j + 1] = dates[j + 1], dates[j]
    return dates


def busiest_hour(times):
    best = ""
    most = 0
    hours = [time.split(":")[0] for time in times]
    for hour in hours:
        if hours.count(hour) > most:
            most = hours.count(hour)
            best = hour
    return best


def total_duration(durations):
    seconds = 0
    for duration in durations:
        parts = duration.split(":")
        seconds += int(parts[0]) * 3600 + int(parts[1]) * 60 + int(parts[2])
    hours = 0
    while seconds >= 3600:
        seconds -= 3600
        hours += 1
    minutes = 0
    while seconds >= 60:
        seconds -= 60
        minutes += 1
    return [hours, minutes, seconds]
