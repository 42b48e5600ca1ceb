/* Everything of the library; see the headers. Research use, not a medical device. */
#ifndef MMRPHYS_LINK_H
#define MMRPHYS_LINK_H

#include "mmrphys_frame.h"
#include "mmrphys_line.h"
#include "mmrphys_payloads.h"
#include "mmrphys_show.h"

#endif
