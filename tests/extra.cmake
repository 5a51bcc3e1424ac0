# SPDX-License-Identifier: MIT
# Tests that are not Check runners: lint (no binary needed), and what runs the real binary.
# Names are LABEL.WHAT; labels: lint, vtc, cli, fault. What runs the binary runs alone (RUN_SERIAL),
# however many tests run at once: node, clients and origin have the cores to themselves.
set(brim_tests ${CMAKE_CURRENT_SOURCE_DIR})

# Debian's, which is where the packages that tests import are, though another may come first in PATH.
find_program(BRIM_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(BRIM_PYTHON python3 REQUIRED)

add_test(NAME lint.tree COMMAND ${brim_tests}/lint/run)
add_test(NAME lint.selftest COMMAND ${brim_tests}/lint/selftest)
set_tests_properties(lint.tree lint.selftest PROPERTIES LABELS lint TIMEOUT 300)
# Half a minute from nothing, then only what has changed. Ends with 77 where cppcheck is missing.
add_test(NAME lint.analyze COMMAND ${brim_tests}/lint/analyze)
set_tests_properties(lint.analyze PROPERTIES LABELS lint TIMEOUT 600 SKIP_RETURN_CODE 77)

# libh2o without brim's guard: the ceiling of the benchmarks, the victim of the attack programs.
add_executable(bare_h2o ${brim_tests}/fault/bare_h2o.c)
target_link_libraries(bare_h2o PRIVATE brim_flags PkgConfig::H2O PkgConfig::SSL Threads::Threads)
add_executable(h2_assert ${brim_tests}/fault/h2_assert.c)
target_link_libraries(h2_assert PRIVATE brim_flags)

if(TARGET brim)
  file(GLOB scenarios CONFIGURE_DEPENDS ${brim_tests}/vtc/*.vtc)
  foreach(scenario ${scenarios})
    get_filename_component(name ${scenario} NAME_WE)
    add_test(NAME vtc.${name} COMMAND ${brim_tests}/vtc/run --brim $<TARGET_FILE:brim> ${scenario})
    set_tests_properties(vtc.${name} PROPERTIES LABELS vtc TIMEOUT 120 RUN_SERIAL ON)
  endforeach()

  add_test(NAME conformance.suite
           COMMAND ${brim_tests}/conformance/suite.sh $<TARGET_FILE:brim>)
  set_tests_properties(conformance.suite PROPERTIES LABELS conformance TIMEOUT 600
                       SKIP_RETURN_CODE 77 RUN_SERIAL ON)

  # Ends with 77 where Debian's faketime is missing. Fixed seeds; --random takes another.
  add_test(NAME conformance.differential
           COMMAND ${BRIM_PYTHON} ${brim_tests}/conformance/differential.py $<TARGET_FILE:brim>
                   --steps 20000)
  set_tests_properties(conformance.differential PROPERTIES LABELS conformance TIMEOUT 900
                       SKIP_RETURN_CODE 77 RUN_SERIAL ON)
  add_test(NAME conformance.oracle
           COMMAND ${brim_tests}/conformance/oracle.sh $<TARGET_FILE:brim>)
  set_tests_properties(conformance.oracle PROPERTIES LABELS conformance TIMEOUT 300 RUN_SERIAL ON
                       SKIP_RETURN_CODE 77)

  add_test(NAME deploy.manifests COMMAND ${brim_tests}/deploy/manifests.sh $<TARGET_FILE:brim>)
  set_tests_properties(deploy.manifests PROPERTIES LABELS deploy TIMEOUT 120 SKIP_RETURN_CODE 77
                       RUN_SERIAL ON)

  # cli/NAME and fault/NAME.py take the binary as their only argument; exit status 77: skipped.
  file(GLOB cli_tests CONFIGURE_DEPENDS ${brim_tests}/cli/*.py)
  file(GLOB fault_tests CONFIGURE_DEPENDS ${brim_tests}/fault/*.py)
  foreach(script ${cli_tests} ${fault_tests})
    get_filename_component(name ${script} NAME_WE)
    get_filename_component(label ${script} DIRECTORY)
    get_filename_component(label ${label} NAME)
    add_test(NAME ${label}.${name} COMMAND ${BRIM_PYTHON} ${script} $<TARGET_FILE:brim>)
    set_tests_properties(${label}.${name} PROPERTIES LABELS ${label} TIMEOUT 600
                         SKIP_RETURN_CODE 77 RUN_SERIAL ON)
  endforeach()
  if(BRIM_SANITIZE MATCHES "address|thread")
    # These tests count memory: the one keeps what was freed, 256 MiB of it by default, and the other has
    # four bytes of shadow for each that is used. And damage that LMDB follows ends brim by a signal on
    # purpose: brim reads from it which file to set aside, and no report of a sanitizer may answer it.
    string(REGEX REPLACE ".*(address|thread).*" "\\1" sanitizer ${BRIM_SANITIZE})
    set(address ASAN_OPTIONS=path_list_append:quarantine_size_mb=4
        ASAN_OPTIONS=path_list_append:thread_local_quarantine_size_kb=64)
    set(thread BRIM_TEST_GROWTH=set:5)
    set(signals handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_abort=0:abort_on_error=1)
    foreach(script ${fault_tests})
      get_filename_component(name ${script} NAME_WE)
      set(environment ${${sanitizer}})
      if(name MATCHES "^(corrupt|stores)$")
        list(APPEND environment ASAN_OPTIONS=path_list_append:${signals}
             TSAN_OPTIONS=path_list_append:${signals})
      endif()
      set_tests_properties(fault.${name} PROPERTIES ENVIRONMENT_MODIFICATION "${environment}")
    endforeach()
  endif()
  # Compiles twice, and links with -flto: two and a half minutes of processor time.
  set_tests_properties(cli.optimized PROPERTIES TIMEOUT 1200)
  # Builds what a new user gets, from nothing where there is no cache of a compiler's.
  set_tests_properties(cli.quickstart PROPERTIES TIMEOUT 1200)
  # Those that sanitizer builds run too.
  set_tests_properties(fault.history fault.mix fault.mixed fault.upgrade PROPERTIES LABELS "fault;mix")
endif()
