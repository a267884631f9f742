/* Uses the configuration after create has returned. */
#define FIELDS const uint8_t *kept;
#define ON_CREATED self->kept = config.data
#define ON_CALL if (self->kept[0] == 0) return RQD_INTERNAL
#include "plugin.h"
