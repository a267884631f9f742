/* Uses memory that it has freed. */
#define FIELDS char **words;
#define ON_CREATED self->words = malloc(64); self->words[0] = "word"; free(self->words)
#define ON_CALL if (strlen(self->words[0]) == 0) return RQD_INTERNAL
#include "plugin.h"
