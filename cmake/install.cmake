# What `cmake --install` puts where. A package's layout differs in a few places (ROTA_PACKAGE=deb): see packaging/debian.
include(GNUInstallDirs)

set(ROTA_PACKAGE "" CACHE STRING "Layout of a package: deb, or empty for an installation by hand")
set(ROTA_UNIT_DIR "lib/systemd/system" CACHE STRING "Where systemd units go, below the prefix")

set(rota_share ${CMAKE_INSTALL_DATADIR})
set(zsh_folder site-functions)
if(ROTA_PACKAGE STREQUAL "deb")
  set(zsh_folder vendor-completions)
endif()

# Of the prefix that is in force when it is installed, which `cmake --install --prefix` may have changed: what the unit
# names is there, and nothing is written elsewhere.
install(CODE "
  set(ROTA_BINDIR \"${CMAKE_INSTALL_BINDIR}\")
  set(ROTA_CONFDIR \"${CMAKE_INSTALL_SYSCONFDIR}\")
  if(ROTA_CONFDIR STREQUAL \"etc\" AND CMAKE_INSTALL_PREFIX STREQUAL \"/usr\")
    set(ROTA_CONFDIR /etc)
  endif()
  foreach(folder ROTA_BINDIR ROTA_CONFDIR)
    get_filename_component(\${folder} \"\${\${folder}}\" ABSOLUTE BASE_DIR \"\${CMAKE_INSTALL_PREFIX}\")
  endforeach()
  set(ROTA_CONFDIR \"\${ROTA_CONFDIR}/rota\")
  configure_file(\"${CMAKE_SOURCE_DIR}/systemd/rota.service\" \"${CMAKE_BINARY_DIR}/install/rota.service\" @ONLY)")
install(TARGETS rota RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${CMAKE_BINARY_DIR}/install/rota.service DESTINATION ${ROTA_UNIT_DIR})
install(FILES systemd/sysusers.conf DESTINATION lib/sysusers.d RENAME rota.conf)
install(FILES systemd/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME rota.conf)

install(FILES completion/rota.bash DESTINATION ${rota_share}/bash-completion/completions RENAME rota)
install(FILES completion/_rota DESTINATION ${rota_share}/zsh/${zsh_folder})
install(FILES completion/rota.fish DESTINATION ${rota_share}/fish/vendor_completions.d)

# All that they link to each other, in the places that the links name.
install(FILES README.md SECURITY.md CONTRIBUTING.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs deploy DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES conf/rota.yaml conf/container.yaml conf/systemd-hardened.conf DESTINATION ${CMAKE_INSTALL_DOCDIR}/conf)
install(FILES bench/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/bench)
install(DIRECTORY examples/express DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples
  PATTERN node_modules EXCLUDE PATTERN .npmrc EXCLUDE)

if(ROTA_PACKAGE STREQUAL "deb")
  include(cmake/deb.cmake)
else()
  install(FILES ${CMAKE_BINARY_DIR}/man/rota.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${CMAKE_BINARY_DIR}/man/rota.yaml.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
  # A file somebody has edited is never overwritten; the new default then lies beside it. (file(INSTALL) heeds DESTDIR itself.)
  install(CODE "
    set(name rota.yaml)
    if(EXISTS \"\$ENV{DESTDIR}\${ROTA_CONFDIR}/rota.yaml\")
      file(READ \"\$ENV{DESTDIR}\${ROTA_CONFDIR}/rota.yaml\" mine)
      file(READ \"${CMAKE_SOURCE_DIR}/conf/rota.yaml\" ours)
      if(NOT mine STREQUAL ours)
        set(name rota.yaml.new)
      endif()
    endif()
    file(INSTALL \"${CMAKE_SOURCE_DIR}/conf/rota.yaml\" DESTINATION \"\${ROTA_CONFDIR}\" RENAME \"\${name}\")")
endif()
