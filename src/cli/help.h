// The texts of --help. Written by hand: they are the first thing a stranger reads.
#pragma once

namespace rota::cli {

extern const char* const kHelp;
extern const char* const kRunHelp;
extern const char* const kCheckHelp;
extern const char* const kProbeHelp;
// Both ways to say what is to be run; shown when neither was used.
extern const char* const kRunForms;
// For those who look for a command that is a signal here.
extern const char* const kSignalForms;

}  // namespace rota::cli
