/* SPDX-License-Identifier: MIT */
#include "brim/policy/script_cover.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* A line that only begins a function: what makes it runs at the function's end. */
static bool begins_function(const char *line)
{
    size_t len = strlen(line);

    while (len > 0 && isspace((unsigned char)line[len - 1]))
        len--;
    return len > 0 && line[len - 1] == ')' && strstr(line, "function") != NULL;
}

/* Lines with something to run: neither blank, comment, nor only what opens or closes blocks. */
static bool is_code(const char *line)
{
    static const char *const closing[] = {"end", "else", "}", ")", "return {", "until", "end,"};

    line += strspn(line, " \t");
    if (*line == '\n' || *line == '\r' || *line == '\0' || strncmp(line, "--", 2) == 0 ||
        begins_function(line))
        return false;
    for (size_t i = 0; i < sizeof(closing) / sizeof(closing[0]); i++) {
        size_t len = strlen(closing[i]);

        if (strncmp(line, closing[i], len) == 0 && !isalnum((unsigned char)line[len]))
            return false;
    }
    return true;
}

void brim_script_cover_write(const char *path, const unsigned char *ran, unsigned ran_count,
                             FILE *out)
{
    FILE *file = fopen(path, "re");
    char line[4096];
    unsigned number = 0, code = 0, run = 0;

    if (file == NULL)
        return;
    while (fgets(line, sizeof(line), file) != NULL && number + 1 < ran_count) {
        number++;
        if (ran[number] != 0 || is_code(line))
            code++;
        run += ran[number];
    }
    (void)fprintf(out, "# coverage %s: %u of %u lines (%u %%)\n", path, run, code,
                  code == 0 ? 100 : run * 100 / code);
    rewind(file);
    for (unsigned at = 1; at <= number && fgets(line, sizeof(line), file) != NULL; at++)
        if (ran[at] == 0 && is_code(line))
            (void)fprintf(out, "#   not run: %u: %.*s\n", at, (int)strcspn(line, "\r\n"), line);
    (void)fclose(file);
}
