# The CUDA kernels' device functions built for the CPU, and the pool's host logic: part of the kernel tests everywhere.
add_library(cuda_on_cpu STATIC cuda/host_run.cc cuda/step_plan.cc cuda/device_pool.cc cuda/page_copier.cc)
target_include_directories(cuda_on_cpu PUBLIC cuda)
target_link_libraries(cuda_on_cpu PUBLIC kernels Threads::Threads)
# The emulation is one large translation unit: higher levels cost minutes of compiling and gain seconds of running, and
# under the sanitizers all head dims would take minutes at any level.
if(BLOCKSTITCH_SANITIZE)
  target_compile_definitions(cuda_on_cpu PUBLIC BS_FEW_HEAD_DIMS)
  target_compile_options(cuda_on_cpu PRIVATE -O1 -g0)
else()
  target_compile_options(cuda_on_cpu PRIVATE -O2)
endif()

foreach(name cuda_host_test device_pool_test)
  add_executable(${name} test/${name}.cc)
  target_link_libraries(${name} PRIVATE cuda_on_cpu)
  add_test(NAME ${name} COMMAND ${name})
endforeach()

# A device library whose GPU is the CPU, for tests that go through the addon and ONNX Runtime.
if(NOT BLOCKSTITCH_SANITIZE)
  add_library(blockstitch_emulated SHARED cuda/library.cc test/emulated_gpu.cc)
  target_link_libraries(blockstitch_emulated PRIVATE cuda_on_cpu)
endif()
