# SPDX-License-Identifier: MIT
# What is installed beside the binary, and the .deb: cmake --install, cpack.
set(deploy ${CMAKE_CURRENT_LIST_DIR})

install(DIRECTORY lua/ DESTINATION ${CMAKE_INSTALL_DATADIR}/brim/lua PATTERN .gitkeep EXCLUDE)
install(DIRECTORY conf/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES README.md ${deploy}/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${deploy}/systemd/brim.service DESTINATION lib/systemd/system)
install(FILES ${deploy}/systemd/brim.sysusers DESTINATION lib/sysusers.d RENAME brim.conf)
install(FILES ${deploy}/completions/brim.bash
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME brim)
install(FILES ${deploy}/completions/_brim
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${deploy}/completions/brim.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

# The config belongs in /etc, not in /usr/etc; under any other prefix, below that one.
install(CODE "set(brim_config \"${CMAKE_SOURCE_DIR}/conf/service.yaml\")
set(brim_logrotate \"${deploy}/debian/brim.logrotate\")")
install(CODE [[
  if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(brim_etc /etc)
  else()
    set(brim_etc ${CMAKE_INSTALL_PREFIX}/etc)
  endif()
  if(NOT EXISTS "$ENV{DESTDIR}${brim_etc}/brim/brim.yaml") # never over an operator's own
    file(INSTALL DESTINATION ${brim_etc}/brim TYPE FILE RENAME brim.yaml
         FILES ${brim_config})
  endif()
  if(NOT EXISTS "$ENV{DESTDIR}${brim_etc}/logrotate.d/brim")
    file(INSTALL DESTINATION ${brim_etc}/logrotate.d TYPE FILE RENAME brim
         FILES ${brim_logrotate})
  endif()
]])

if(TARGET brim)
  # The pages are what the binary says of itself, so that they cannot lag behind it.
  set(pages ${CMAKE_BINARY_DIR}/man/brim.1.gz ${CMAKE_BINARY_DIR}/man/brim.yaml.5.gz)
  add_custom_command(OUTPUT ${pages} DEPENDS brim ${deploy}/man/make
    COMMAND ${deploy}/man/make $<TARGET_FILE:brim> ${CMAKE_BINARY_DIR}/man VERBATIM)
  add_custom_target(manual ALL DEPENDS ${pages})
  install(FILES ${CMAKE_BINARY_DIR}/man/brim.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${CMAKE_BINARY_DIR}/man/brim.yaml.5.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
endif()

file(WRITE ${CMAKE_BINARY_DIR}/debian/conffiles "/etc/brim/brim.yaml\n/etc/logrotate.d/brim\n")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME brim)
set(CPACK_PACKAGE_VENDOR "The brim authors")
set(CPACK_PACKAGE_CONTACT "The brim authors <brim@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "edge cache and reverse proxy with Lua handlers")
set(CPACK_PACKAGE_DESCRIPTION
    "Answers from its own cache wherever HTTP allows it, keeps that cache through restarts\
 and crashes, and shares one origin request among all who wait for it.")
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON) # /etc is not below /usr
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION httpd)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "passwd, init-system-helpers")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_BINARY_DIR}/debian/conffiles
    ${deploy}/debian/postinst ${deploy}/debian/prerm ${deploy}/debian/postrm)
include(CPack)
