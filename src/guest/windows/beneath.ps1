# Process and title of the window under the pointer. 1: there is none.
$window = [Mosdat.Native]::BeneathPointer()
if ($window -eq [IntPtr]::Zero) { exit 1 }
[string][Mosdat.Native]::Process($window)
[Mosdat.Native]::Title($window)
exit 0
