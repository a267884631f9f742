#ifndef RQLITED_CBUILD_H
#define RQLITED_CBUILD_H

/* What the build was told about itself: scripts set RQLITED_COMMIT, and Package.swift hands it on.
   Only this file is compiled anew when it changes. */

/* The commit that was built, with -dirty if files differed from it; "unknown" if nobody said. */
const char *rqlited_commit(void);

#endif
