#ifndef RQLITE_DISCO_H
#define RQLITE_DISCO_H
#include <stdint.h>
#endif
