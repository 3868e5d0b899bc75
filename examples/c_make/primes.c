/* Counts the primes below a number, by trial division: room for a better idea. */
#include <stdio.h>
#include <stdlib.h>

static int is_prime(long n) {
    for (long d = 2; d < n; d++)
        if (n % d == 0)
            return 0;
    return n > 1;
}

int main(int argc, char **argv) {
    long below = argc > 1 ? atol(argv[1]) : 10000, count = 0;
    for (long n = 0; n < below; n++)
        count += is_prime(n);
    printf("%ld\n", count);
    return 0;
}
