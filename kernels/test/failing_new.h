// Lets allocations fail where a test wants it: link failing_new.cc, which replaces operator new for the whole program.
#pragma once

namespace blockstitch::cases {

/// Allocations of this thread that still succeed; negative: all do.
extern thread_local long allocationsLeft;
/// Whether only the next one fails after that, or all that follow.
extern thread_local bool failsOnce;

}  // namespace blockstitch::cases
