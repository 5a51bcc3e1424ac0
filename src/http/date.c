/* SPDX-License-Identifier: MIT */
/*
 * The three forms of HTTP-date (RFC 9110 5.6.7), each matched against a template:
 *
 *   IMF-fixdate  Sun, 06 Nov 1994 08:49:37 GMT
 *   rfc850       Sunday, 06-Nov-94 08:49:37 GMT
 *   asctime      Sun Nov  6 08:49:37 1994
 *
 * Letters match in any case, because a cache should accept that (RFC 9111 4.2); everything else is
 * exact. The weekday must be one, but need not be right: nothing depends on it, and a date that is
 * off by a weekday is still the date that its sender meant. Zones other than GMT are not valid.
 * Years run from 0 to 9999 in the proleptic Gregorian calendar; no libc, no locale, no time zone.
 */
#include "brim/http/date.h"

#include "brim/base/invariant.h"

#define DAY_S         86400
#define WINDOW_YEARS  50 /* RFC 9110 5.6.7: a two-digit year is at most that far in the future */
#define SHORT_DAY_LEN 3

static const char day_names[7][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct civil {
    int64_t year;
    int month; /* 1 to 12 */
    int day;
    int hour;
    int minute;
    int second;
};

/* Days from 1970-01-01. Years begin in March here, so that the leap day is a year's last day and
 * the months before it have a regular pattern; 400 years are 146097 days. */
static int64_t days_of(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

/* The inverse of days_of(). */
static void civil_of_days(int64_t days, struct civil *civil_out)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;

    civil_out->day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    civil_out->month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    civil_out->year = year_of_era + era * 400 + (civil_out->month <= 2 ? 1 : 0);
}

static int64_t seconds_of(const struct civil *civil)
{
    /* A leap second has no number of its own; a cache takes the nearest time that is not later
     * than what it was sent (RFC 9111 4.2). */
    int second = civil->second == 60 ? 59 : civil->second;

    return days_of(civil->year, civil->month, civil->day) * DAY_S + civil->hour * 3600LL +
           civil->minute * 60LL + second;
}

static bool is_real(const struct civil *civil)
{
    static const int month_days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = civil->year % 4 == 0 && (civil->year % 100 != 0 || civil->year % 400 == 0);

    INVARIANT(civil->month >= 1 && civil->month <= 12);
    int days = month_days[civil->month - 1] + (leap && civil->month == 2 ? 1 : 0);
    return civil->day >= 1 && civil->day <= days && civil->hour <= 23 && civil->minute <= 59 &&
           civil->second <= 60;
}

/* Takes want from the front of *text; letters in any case. */
static bool take_text(struct brim_str *text, const char *want, size_t len)
{
    if (text->len < len || strncasecmp(text->base, want, len) != 0)
        return false;
    *text = brim_str(text->base + len, text->len - len);
    return true;
}

/* Takes exactly width digits from the front of *text. */
static bool take_number(struct brim_str *text, size_t width, int *number_out)
{
    int number = 0;

    *number_out = 0;
    if (text->len < width)
        return false;
    for (size_t i = 0; i < width; i++) {
        if (text->base[i] < '0' || text->base[i] > '9')
            return false;
        number = number * 10 + (text->base[i] - '0');
    }
    *text = brim_str(text->base + width, text->len - width);
    *number_out = number;
    return true;
}

static bool take_month(struct brim_str *text, int *month_out)
{
    *month_out = 0;
    for (int i = 0; i < 12; i++) {
        if (take_text(text, month_names[i], 3)) {
            *month_out = i + 1;
            return true;
        }
    }
    return false;
}

static bool take_time(struct brim_str *text, struct civil *civil)
{
    return take_number(text, 2, &civil->hour) && take_text(text, ":", 1) &&
           take_number(text, 2, &civil->minute) && take_text(text, ":", 1) &&
           take_number(text, 2, &civil->second);
}

/* " 06 Nov 1994 08:49:37 GMT", behind "Sun,". */
static bool take_imf(struct brim_str text, struct civil *civil)
{
    int year = 0;
    bool ok = take_text(&text, " ", 1) && take_number(&text, 2, &civil->day) &&
              take_text(&text, " ", 1) && take_month(&text, &civil->month) &&
              take_text(&text, " ", 1) && take_number(&text, 4, &year) &&
              take_text(&text, " ", 1) && take_time(&text, civil) && take_text(&text, " GMT", 4);

    civil->year = year;
    return ok && text.len == 0 && is_real(civil);
}

/*
 * Gives a two-digit year its century: the latest year with those digits that makes the time at
 * most 50 years from now; beyond that it means the most recent year in the past (RFC 9110 5.6.7).
 */
static void resolve_century(struct civil *civil, int64_t now_wall_s)
{
    struct civil limit = {0};
    int64_t now_days = now_wall_s / DAY_S - (now_wall_s % DAY_S < 0 ? 1 : 0);

    civil_of_days(now_days, &limit);
    limit.year += WINDOW_YEARS;
    int64_t limit_s =
        days_of(limit.year, limit.month, limit.day) * DAY_S + now_wall_s - now_days * DAY_S;
    civil->year += (limit.year / 100) * 100;
    if (seconds_of(civil) > limit_s)
        civil->year -= 100;
}

/* " 06-Nov-94 08:49:37 GMT", behind "Sunday,". */
static bool take_rfc850(struct brim_str text, int64_t now_wall_s, struct civil *civil)
{
    int year = 0;
    bool ok = take_text(&text, " ", 1) && take_number(&text, 2, &civil->day) &&
              take_text(&text, "-", 1) && take_month(&text, &civil->month) &&
              take_text(&text, "-", 1) && take_number(&text, 2, &year) &&
              take_text(&text, " ", 1) && take_time(&text, civil) && take_text(&text, " GMT", 4);

    if (!ok || text.len != 0)
        return false;
    civil->year = year;
    resolve_century(civil, now_wall_s);
    return is_real(civil);
}

/* " Nov  6 08:49:37 1994", behind "Sun". */
static bool take_asctime(struct brim_str text, struct civil *civil)
{
    int year = 0;
    bool ok = take_text(&text, " ", 1) && take_month(&text, &civil->month) &&
              take_text(&text, " ", 1) &&
              (take_text(&text, " ", 1) ? take_number(&text, 1, &civil->day)
                                        : take_number(&text, 2, &civil->day)) &&
              take_text(&text, " ", 1) && take_time(&text, civil) && take_text(&text, " ", 1) &&
              take_number(&text, 4, &year);

    civil->year = year;
    return ok && text.len == 0 && is_real(civil);
}

int64_t brim_date_parse(struct brim_str text, int64_t now_wall_s)
{
    struct civil civil = {0};
    bool ok = false;

    for (size_t i = 0; i < 7; i++) {
        struct brim_str rest = text;
        size_t long_len = strlen(day_names[i]);
        if (!take_text(&rest, day_names[i], SHORT_DAY_LEN))
            continue;
        if (take_text(&rest, ",", 1)) {
            ok = take_imf(rest, &civil);
        } else if (take_text(&rest, day_names[i] + SHORT_DAY_LEN, long_len - SHORT_DAY_LEN)) {
            ok = take_text(&rest, ",", 1) && take_rfc850(rest, now_wall_s, &civil);
        } else {
            ok = take_asctime(rest, &civil);
        }
        break; /* no two days begin alike */
    }
    return ok ? seconds_of(&civil) : INT64_MIN;
}

static void put_digits(char *out, size_t width, int64_t number)
{
    for (size_t i = width; i > 0; i--) {
        out[i - 1] = (char)('0' + number % 10);
        number /= 10;
    }
}

void brim_date_format(int64_t wall_s, char out[BRIM_DATE_BYTES])
{
    static const int64_t first_s = -62167219200; /* 0000-01-01 00:00:00 */
    static const int64_t last_s = 253402300799;  /* 9999-12-31 23:59:59 */
    static const char form[BRIM_DATE_BYTES] = "Day, 00 Mon 0000 00:00:00 GMT"; /* no NUL */
    struct civil civil = {0};

    /* The format has four digits for the year: times outside it show its nearest end. */
    wall_s = wall_s < first_s ? first_s : wall_s > last_s ? last_s : wall_s;
    int64_t days = wall_s / DAY_S - (wall_s % DAY_S < 0 ? 1 : 0);
    int64_t second = wall_s - days * DAY_S;
    civil_of_days(days, &civil);

    memcpy(out, form, sizeof(form));
    memcpy(out, day_names[((days + 4) % 7 + 7) % 7], SHORT_DAY_LEN); /* day 0 was a Thursday */
    put_digits(out + 5, 2, civil.day);
    memcpy(out + 8, month_names[civil.month - 1], 3);
    put_digits(out + 12, 4, civil.year);
    put_digits(out + 17, 2, second / 3600);
    put_digits(out + 20, 2, second / 60 % 60);
    put_digits(out + 23, 2, second % 60);
}
