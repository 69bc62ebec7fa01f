# The CUDA kernels' device functions built for the CPU, against the float64 reference: part of the kernel tests everywhere.
add_executable(cuda_host_test test/cuda_host_test.cc cuda/step_plan.cc src/step_metadata.cc)
target_include_directories(cuda_host_test PRIVATE src cuda)
# The emulation is one large translation unit; higher levels cost minutes of compiling and gain seconds.
target_compile_options(cuda_host_test PRIVATE $<IF:$<BOOL:${BLOCKSTITCH_SANITIZE}>,-O1,-O2>)
target_link_libraries(cuda_host_test PRIVATE Threads::Threads)
add_test(NAME cuda_kernels_on_cpu COMMAND cuda_host_test)
