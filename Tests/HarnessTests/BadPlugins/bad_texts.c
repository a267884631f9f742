/* Its version is not UTF-8, and its id no domain. */
#define TEXTS                                                                                      \
    RQD_TEXT("my plugin"), RQD_TEXT("1.\xff"), RQD_TEXT(""), RQD_TEXT(""), RQD_TEXT("MIT")
#include "plugin.h"
